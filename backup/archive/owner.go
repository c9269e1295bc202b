package archive

import (
	"os"
	"os/user"
	"strconv"
	"sync"
)

// owners remembers the names of users and groups; asking the system for each
// file would cost more than reading it.
type owners struct {
	users, groups sync.Map // uint32 -> string
}

func (o *owners) user(id uint32) string {
	return remembered(&o.users, id, func(text string) (string, error) {
		u, err := user.LookupId(text)
		if err != nil {
			return "", err
		}
		return u.Username, nil
	})
}

func (o *owners) group(id uint32) string {
	return remembered(&o.groups, id, func(text string) (string, error) {
		g, err := user.LookupGroupId(text)
		if err != nil {
			return "", err
		}
		return g.Name, nil
	})
}

// remembered asks once; an owner without a name is common and no fault.
func remembered(names *sync.Map, id uint32, ask func(string) (string, error)) string {
	if name, ok := names.Load(id); ok {
		return name.(string)
	}
	name, err := ask(strconv.FormatUint(uint64(id), 10))
	if err != nil {
		name = ""
	}
	names.Store(id, name)
	return name
}

// namesOf gives all that was remembered.
func namesOf(names *sync.Map) map[uint32]string {
	all := map[uint32]string{}
	names.Range(func(id, name any) bool {
		all[id.(uint32)] = name.(string)
		return true
	})
	return all
}

func currentUser() string {
	u, err := user.Current()
	if err != nil {
		return os.Getenv("USER")
	}
	return u.Username
}

// ids are those of this process, 0 where the system has none.
func ids() (uid, gid uint32) {
	return uint32(max(os.Getuid(), 0)), uint32(max(os.Getgid(), 0))
}
