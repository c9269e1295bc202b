package secret

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// entropy is mixed into the protection, so that another program of the machine
// does not open the key by handing the bytes to Windows.
var entropy = []byte("emrvault box key")

// protect wraps the key by DPAPI for this machine. The machine scope is needed
// because the service and an administrator's verbs run as different users.
func protect(key []byte) (Protection, []byte, error) {
	wrapped, err := dpapi(key, func(in, salt, out *windows.DataBlob) error {
		return windows.CryptProtectData(in, nil, salt, 0, nil,
			windows.CRYPTPROTECT_LOCAL_MACHINE|windows.CRYPTPROTECT_UI_FORBIDDEN, out)
	})
	return ByDPAPI, wrapped, err
}

func unprotect(by Protection, wrapped []byte) ([]byte, error) {
	switch by {
	case ByFile:
		return wrapped, nil
	case ByDPAPI:
		return dpapi(wrapped, func(in, salt, out *windows.DataBlob) error {
			return windows.CryptUnprotectData(in, nil, salt, 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, out)
		})
	}
	return nil, fmt.Errorf("this machine cannot open a key protected by %q", by)
}

// dpapi runs one call and copies its answer out of the memory Windows gave.
func dpapi(data []byte, call func(in, salt, out *windows.DataBlob) error) ([]byte, error) {
	var out windows.DataBlob
	if err := call(blobOf(data), blobOf(entropy), &out); err != nil {
		return nil, fmt.Errorf("DPAPI: %w", err)
	}
	answer := append([]byte(nil), unsafe.Slice(out.Data, out.Size)...)
	if _, err := windows.LocalFree(windows.Handle(unsafe.Pointer(out.Data))); err != nil {
		return nil, fmt.Errorf("DPAPI: free answer: %w", err)
	}
	return answer, nil
}

func blobOf(data []byte) *windows.DataBlob {
	return &windows.DataBlob{Size: uint32(len(data)), Data: unsafe.SliceData(data)}
}
