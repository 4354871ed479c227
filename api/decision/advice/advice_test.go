package advice

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/decision"
)

func TestThereIsAdviceForEveryReason(t *testing.T) {
	t.Parallel()
	for _, reason := range decision.Reasons() {
		a := Of(reason)
		if a.Do == "" || strings.Contains(a.Do, "\n") || !strings.HasSuffix(a.Do, ".") {
			t.Errorf("%s: %q is no sentence", reason, a.Do)
		}
		for _, command := range For(reason) {
			if strings.Contains(command, "REASON") {
				t.Errorf("%s: %q lacks the reason", reason, command)
			}
		}
	}
	if all := len(configuration) + len(messages) + len(tokens) + len(rest); all != len(decision.Reasons()) {
		t.Errorf("there is advice for %d reasons, and there are %d", all, len(decision.Reasons()))
	}
	if a := Of("Unheard"); a.Do != "" {
		t.Errorf("advice for a reason that is none: %q", a.Do)
	}
}
