// Package exit has the exit codes of the command line: 0 for done, or yes; 1 for an error; 2 for no.
package exit

import "errors"

// ErrNo ends the program with code 2: the command worked, its answer has been printed, and it is no. A command returns it,
// wrapped or not; nothing more is printed for it.
var ErrNo = errors.New("the answer is no")

// ErrSaid ends the program with code 1: what is wrong has been printed.
var ErrSaid = errors.New("that has been said")

// Code is the exit code for what a command returns.
func Code(err error) int {
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrNo):
		return 2
	}
	return 1
}

// Silent reports whether there is nothing more to print.
func Silent(err error) bool { return errors.Is(err, ErrNo) || errors.Is(err, ErrSaid) }
