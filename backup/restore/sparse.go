package restore

import (
	"bytes"
	"fmt"
)

// hole is the least run of zeros that becomes a hole: a block of most file
// systems.
const hole = 4 << 10

var zeros [hole]byte

// put writes a part of a file; with Sparse it leaves holes where the data has
// nothing but zeros. A fresh file has holes wherever nothing was written.
func (r *run) put(handle output, data []byte, offset int64, fresh bool) error {
	if len(data) == 0 {
		return nil
	}
	if !r.opts.Sparse {
		return put(handle, data, offset)
	}
	for len(data) > 0 {
		blank, n := stretch(data, offset)
		var err error
		switch {
		case blank && fresh:
		case blank && handle.punch(offset, int64(n)) == nil:
		default:
			err = put(handle, data[:n], offset)
		}
		if err != nil {
			return err
		}
		data, offset = data[n:], offset+int64(n)
	}
	return nil
}

func put(handle output, data []byte, offset int64) error {
	if _, err := handle.WriteAt(data, offset); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// stretch tells how far data goes on being nothing but zeros, or not, by whole
// blocks of the file.
func stretch(data []byte, offset int64) (blank bool, n int) {
	for n < len(data) {
		end := min(n+hole-int((offset+int64(n))%hole), len(data))
		zero := bytes.Equal(data[n:end], zeros[:end-n])
		if n > 0 && zero != blank {
			return blank, n
		}
		blank, n = zero, end
	}
	return blank, n
}
