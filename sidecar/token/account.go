package token

import (
	"crypto/sha256"

	"github.com/bearerguard/bearerguard/api/decision"
)

// UID stands for the UID of an object of Kubernetes: the first 16 bytes of its SHA-256. The zero UID is none.
type UID [16]byte

// UIDOf returns the UID for a text such as metadata.uid; none for the empty one.
func UIDOf(text string) (id UID) {
	if text == "" {
		return id
	}
	sum := sha256.Sum256([]byte(text))
	copy(id[:], sum[:])
	return id
}

// objectUID returns the UID of the object of this kind that a service-account token is bound to: its claim
// kubernetes.io.pod.uid or such.
func objectUID(all decision.Claims, kind string) UID {
	kubernetes, _ := all["kubernetes.io"].(map[string]any)
	object, _ := kubernetes[kind].(map[string]any)
	uid, _ := object["uid"].(string)
	return UIDOf(uid)
}
