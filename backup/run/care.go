package run

import (
	"context"
	"fmt"

	"emrvault/appliance/jobs"
)

// CareKey is the key of a repository's care jobs.
func CareKey(repository int64) string { return fmt.Sprintf("care/%d", repository) }

// Care hands in the care of a repository at once and gives the job.
func (r *Runner) Care(ctx context.Context, repository int64, by string) (job int64, err error) {
	if _, err := r.Book.RepositoryByID(ctx, repository); err != nil {
		return 0, err
	}
	return r.submitCare(ctx, repository, jobs.Manual, by)
}

func (r *Runner) submitCare(ctx context.Context, repository int64, trigger jobs.Trigger, by string) (int64, error) {
	job, err := r.Jobs.Submit(ctx, jobs.Request{
		Kind: KindCare, Key: CareKey(repository), Params: CareRequest{Repository: repository}, Trigger: trigger, By: by,
	})
	return job.ID, err
}
