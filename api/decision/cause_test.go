package decision

import "testing"

func TestRefusal(t *testing.T) {
	if (Refusal{}).Refused() {
		t.Error("the zero Refusal refuses")
	}
	if !(Refusal{Reason: BadPath}).Refused() {
		t.Error("a Refusal without a cause does not refuse")
	}
	const text = "has a backslash"
	if c := Cause(Because(text)); c.String() != text || c.Detail() != text {
		t.Errorf("got %q and %q, want the text twice", c.String(), c.Detail())
	}
	r := Refusal{}
	if n := testing.AllocsPerRun(10, func() { r = Refusal{Reason: BadPath, Cause: Because(text)} }); n != 0 {
		t.Errorf("a constant cause takes %v allocations", n)
	}
	if !r.Refused() {
		t.Error("does not refuse")
	}
}
