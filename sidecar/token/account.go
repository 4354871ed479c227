package token

import (
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/departed"
)

// objectUID returns the UID of the object of this kind that a service-account token is bound to: its claim
// kubernetes.io.pod.uid or such.
func objectUID(all decision.Claims, kind string) departed.UID {
	kubernetes, _ := all["kubernetes.io"].(map[string]any)
	object, _ := kubernetes[kind].(map[string]any)
	uid, _ := object["uid"].(string)
	return departed.UIDOf(uid)
}
