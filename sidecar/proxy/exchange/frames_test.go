package exchange

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFrames(t *testing.T) {
	t.Parallel()
	long := append([]byte{0x82, 126, 1, 0}, make([]byte, 256)...)
	longer := append([]byte{0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}, make([]byte, 65536)...)
	stream := bytes.Join([][]byte{{0x81, 2, 'h', 'i'}, {0x89, 0}, long, {0x81, 0x83, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2, 'c' ^ 3}, longer, {0x88, 0}}, nil)
	for _, step := range []int{1, 3, 1000, len(stream)} {
		var f Frames
		var ends []int
		for off := 0; off < len(stream); {
			end := min(off+step, len(stream))
			off += f.Scan(stream[off:end])
			if !f.Inside() {
				ends = append(ends, off)
			}
		}
		want := []int{4, 6, 266, 275, 65821, 65823}
		if diff := cmp.Diff(want, ends); diff != "" || !f.Closing {
			t.Errorf("steps of %d: %s", step, diff)
		}
	}
}
