package keys

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

func TestSharedKeysAreBoundToTheirSource(t *testing.T) {
	t.Parallel()
	base := fetch.Source{JWKSURL: "https://a.test/keys"}
	for name, other := range map[string]fetch.Source{
		"another URL":                {JWKSURL: "https://a.test/keys2"},
		"another CA":                 {JWKSURL: base.JWKSURL, CA: "pem"},
		"by discovery":               {Issuer: base.JWKSURL},
		"by discovery at that place": {MetadataURL: base.JWKSURL},
	} {
		if sharedID(base) == sharedID(other) {
			t.Errorf("%s: has the same keys", name)
		}
	}
}

func TestWhatDoesNotFitASecretIsLeftOut(t *testing.T) {
	t.Parallel()
	var sets []shared
	for i := range 30 {
		noise := make([]byte, 50<<10) // hex of chance: 50 KiB compressed
		_, _ = rand.Read(noise)
		jwks := `{"keys":[],"x":"` + hex.EncodeToString(noise) + `"}`
		sets = append(sets, shared{ID: fmt.Sprint(i), JWKS: json.RawMessage(jwks)})
	}
	sets = append(sets, shared{ID: "small", JWKS: json.RawMessage(`{"keys":[]}`), Fetched: time.Now()})
	packed, left, err := pack(sets)
	if err != nil || len(packed) > maxShared || len(left) == 0 || len(left) > 20 {
		t.Errorf("%d bytes, %d left out, %v", len(packed), len(left), err)
	}
	for _, id := range left {
		if id == "small" {
			t.Error("the smallest is left out")
		}
	}
}

// A key server may send what compresses well, a thousandfold. Were such a Secret not readable, all that share it would lose
// their keys.
func TestWhatIsSharedCanBeReadAgain(t *testing.T) {
	t.Parallel()
	const good = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`
	sets := []shared{{ID: "small", JWKS: json.RawMessage(good)}}
	for i := range 40 {
		padded := strings.Replace(good, `{`, `{"x":"`+strings.Repeat("<", 512<<10)+`",`, 1)
		sets = append(sets, shared{ID: fmt.Sprint(i), JWKS: json.RawMessage(padded)})
	}
	packed, left, err := pack(sets)
	if err != nil {
		t.Fatal(err)
	}
	got, err := unpack(packed)
	if err != nil || len(got)+len(left) != len(sets) {
		t.Errorf("%d key sets are read again and %d left out of %d, %v", len(got), len(left), len(sets), err)
	}
	if !slices.ContainsFunc(got, func(s shared) bool { return s.ID == "small" }) {
		t.Error("the small one is lost to the large ones")
	}
}
