package repository

import "context"

// work is a worker: it takes jobs until there are no more or something failed.
func (w *Writer) work() {
	for {
		select {
		case j := <-w.jobs:
			w.carryOut(j)
		case <-w.ctx.Done():
			return
		case <-w.finish:
			w.drain()
			return
		}
	}
}

func (w *Writer) drain() {
	for w.ctx.Err() == nil {
		select {
		case j := <-w.jobs:
			w.carryOut(j)
		default:
			return
		}
	}
}

func (w *Writer) carryOut(j job) {
	// What failed has ended the writing, which tells the cause.
	_ = w.process(j)
	w.done(j)
}

// process brings a blob into its pack. A failure ends the writing.
func (w *Writer) process(j job) error {
	select {
	case <-w.tokens:
	case <-w.ctx.Done():
		return context.Cause(w.ctx)
	}
	defer func() { w.tokens <- struct{}{} }()
	s, err := w.sealer()
	if err == nil {
		defer w.sealers.Put(s)
		err = w.pack(s, j)
	}
	if err != nil {
		w.fail(err)
	}
	return err
}

func (w *Writer) pack(s *sealer, j job) error {
	sealed, plain, err := s.seal(w, j)
	if err != nil {
		return err
	}
	return w.add(j.handle, sealed, plain)
}

// sealer takes one that is not at work, most likely the one this core had.
func (w *Writer) sealer() (*sealer, error) {
	if s, ok := w.sealers.Get().(*sealer); ok {
		return s, nil
	}
	c, err := newCodec(w.repo.settings.effort, 1)
	return &sealer{codec: c}, err
}
