package plan

import (
	"time"

	"emrvault/appliance/schedule"
)

// parseSchedule reads cron words in the plan's zone.
func parseSchedule(words string, zone *time.Location) (schedule.Schedule, error) {
	return schedule.Parse(words, zone)
}

// Timetable is the plan's own schedule, the zero one for a plan that runs by
// hand only.
func (p Plan) Timetable(site *time.Location) (schedule.Schedule, error) {
	if p.Schedule == "" {
		return schedule.Schedule{}, nil
	}
	return parseSchedule(p.Schedule, p.Location(site))
}

// DrillTimetable is the schedule of drills that do not follow a backup.
func (p Plan) DrillTimetable(site *time.Location) (schedule.Schedule, error) {
	if p.Drill.Schedule == "" {
		return schedule.Schedule{}, nil
	}
	return parseSchedule(p.Drill.Schedule, p.Location(site))
}
