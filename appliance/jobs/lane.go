package jobs

// lane is a queue with workers of its own. Work that takes half a night and
// that nobody waits for must not hold a worker that a backup needs.
type lane struct {
	free  chan struct{} // as many places as workers
	kinds []string      // of other lanes when common, else those that wait here
	own   bool          // false: the common lane, which takes whatever is in no other
}

// lanes makes the queues of the registered kinds, the common one first.
func (m *Manager) lanes() []lane {
	m.mu.Lock()
	defer m.mu.Unlock()
	common := lane{free: make(chan struct{}, m.opts.Workers)}
	named := map[string]lane{}
	for _, k := range m.kinds {
		if k.Lane == "" {
			continue
		}
		l, known := named[k.Lane]
		if !known {
			l = lane{free: make(chan struct{}, 1), own: true}
		}
		l.kinds = append(l.kinds, k.Name)
		named[k.Lane] = l
		common.kinds = append(common.kinds, k.Name)
	}
	list := []lane{common}
	for _, l := range named {
		list = append(list, l)
	}
	return list
}

// clause chooses the jobs of the lane.
func (l lane) clause() (where string, args []any) {
	marks := ""
	for i, kind := range l.kinds {
		if i > 0 {
			marks += ", "
		}
		marks += "?"
		args = append(args, kind)
	}
	if l.own {
		return "kind IN (" + marks + ")", args
	}
	return "kind NOT IN (" + marks + ")", args
}
