package osservice

import (
	"fmt"
	"strings"
	"text/template"
)

// unitText is the systemd unit. The reasons, line by line where they are not
// obvious:
//
// After=network.target and not network-online.target: in a server room after
// a power cut the switch may come up minutes later than we do, and the page on
// the local address, the schedule and local backups need no network.
//
// StartLimitIntervalSec=0: systemd must never give up on a backup program.
//
// No User= line, so root: a backup reads files of every owner on the record
// system's host and gives them back with owner and rights. What root does not
// need for that is taken away below.
//
// KillMode=mixed: the stop signal goes to us alone, we end our children in
// order; what is left after TimeoutStopSec is killed.
//
// ProtectSystem=full: system folders cannot be written. Not "strict", because
// repositories and restore targets are wherever the hospital's disks are.
//
// PrivateTmp: nothing of ours lies open in the shared folder. A database whose
// socket lies under /tmp is reached by its TCP port.
//
// The capabilities are those for reading everything and for giving back owner,
// rights, devices and file capabilities; RestrictSUIDSGID and ProtectHome are
// absent for the same reason.
//
// Nice, IOSchedulingPriority, OOMScoreAdjust: the record system goes first.
const unitText = `[Unit]
Description={{.Description}}
After=network.target
StartLimitIntervalSec=0

[Service]
ExecStart={{.Executable}} serve --data {{.Data}}
Restart=always
RestartSec=5
TimeoutStopSec=20
KillMode=mixed
UMask=0077
LimitNOFILE=65536
Nice=5
IOSchedulingPriority=6
OOMScoreAdjust=300

NoNewPrivileges=yes
ProtectSystem=full
{{- with .Writable}}
ReadWritePaths={{.}}
{{- end}}
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_BIND_SERVICE CAP_SETFCAP CAP_SETGID CAP_SETUID

[Install]
WantedBy=multi-user.target
`

var unitTemplate = template.Must(template.New("unit").Parse(unitText))

// Unit writes the systemd unit of the service.
func Unit(opts Options) (string, error) {
	words := map[string]string{
		"Description": description,
		"Executable":  word(opts.Executable),
		"Data":        word(opts.Data),
	}
	if systemFolder(opts.Data) {
		words["Writable"] = strings.ReplaceAll(opts.Data, "%", "%%")
	}
	var unit strings.Builder
	if err := unitTemplate.Execute(&unit, words); err != nil {
		return "", fmt.Errorf("write unit: %w", err)
	}
	return unit.String(), nil
}

// word quotes one word of a command line for systemd: backslashes and quotes
// by backslash, its own % and $ by doubling. The library reads the unit as
// a template of its own, so double braces are written as an escape.
func word(text string) string {
	return `"` + strings.NewReplacer(
		`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "{{", `{\x7b`,
	).Replace(text) + `"`
}

// systemFolder says whether ProtectSystem=full would keep us from writing.
func systemFolder(path string) bool {
	for _, top := range []string{"/usr/", "/boot/", "/efi/", "/etc/"} {
		if strings.HasPrefix(path, top) {
			return true
		}
	}
	return false
}
