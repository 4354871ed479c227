//go:build unix && (!linux || 386 || s390x || loop_poll)

package loop

// pipe is for Linux alone.
type pipe struct{ held int }

// pipes are none.
type pipes struct{}

func (*pipes) grab(*Loop) *pipe            { return nil }
func (*pipes) drop(*Loop, *pipe)           {}
func (*pipes) end(*Loop)                   {}
func (*pipe) fill(*Conn, int) (int, error) { return 0, ErrCopy }
func (*pipe) drain(*Conn) error            { return ErrCopy }
