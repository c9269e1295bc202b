// Package appliance is the ground floor: the box itself, which knows nothing of
// backups or tickets. It holds no code; the rooms lie below it.
//
// # The data folder
//
// Everything the box keeps lies in one folder (package config names the
// places): the settings file, the database (store), sealed keys and
// certificates (secret, certificate), scratch room for drills, logs, and what
// matters only while the program runs. Moving the folder moves the box, except
// for the box key where the machine itself protects it.
//
// # Start
//
// `serve` takes the lock of the data folder, so there is never a second
// process in it; reads the settings; opens the database, which brings its own
// schema up to date; opens the box key, makes what is missing at the first
// start, and empties the scratch folder. Jobs of a process that died are told
// as interrupted and begun again (jobs). Then the control socket opens for
// verbs (control) and the page for people (certificate, identity). While no
// user exists, a one-time link for the first administrator is printed and lies
// in run/setup-link.
//
// # Stop
//
// A stop signal, the service manager or Ctrl-C ends one context. Pages and
// verbs are finished, running jobs are told to stop and have ten seconds, then
// the database closes and the lock goes. After kill -9 or a power cut nothing
// needs a hand: committed rows are on disk, the operating system has freed the
// lock, a socket left behind is replaced.
//
// # Upgrade
//
// Stop, put the new program in place, `install` again (osservice rewrites what
// has changed), start. A newer database is refused by an older program in
// plain words instead of being damaged by it.
//
// # Words
//
// What can go wrong for a person is an errs.Error: a kind for programs, the
// key of a text for people. All texts lie in locale, in Chinese and English.
package appliance
