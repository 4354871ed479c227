package exit

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	for want, errs := range map[int][]error{
		0: {nil},
		1: {errors.New("no such file"), ErrSaid, fmt.Errorf("2 cases: %w", ErrSaid)},
		2: {ErrNo, fmt.Errorf("lint: %w", ErrNo)},
	} {
		for _, err := range errs {
			if got := Code(err); got != want {
				t.Errorf("%v: %d; want %d", err, got, want)
			}
		}
	}
	if Silent(errors.New("x")) || !Silent(ErrNo) || !Silent(ErrSaid) {
		t.Error("what is printed is not as documented")
	}
}
