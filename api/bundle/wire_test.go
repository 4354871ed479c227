package bundle_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/departed"
	"github.com/bearerguard/bearerguard/api/policy"
)

// The wire of each release that was ever cut lies in testdata/wire/VERSION: what it says, as bytes and for people. Controllers and sidecars of
// different releases talk to each other, and a sidecar reads what the one before it saved, so these bytes are read for ever.
var newWire = flag.String("new-wire", "", "write the wire of a release that has none yet, such as 0.2.0")

const wire = "testdata/wire"

// wireSpec has every part of a policy that travels: what a later release adds belongs into the folder of that release.
const wireSpec = `{"mode":"Enforce","issuers":[` +
	`{"name":"corp","issuer":"https://login.example.com","audiences":["orders"],"algorithms":["RS256"],"keys":{"jwksURL":"https://login.example.com/jwks"},"clockSkew":"1m30s","decryption":{"secretRef":{"name":"jwe","key":"k"}}},` +
	`{"name":"opaque","issuer":"https://opaque.example.com","audiences":["orders"],"keys":{},"introspection":{"url":"https://opaque.example.com/introspect","credentialsSecretRef":{"name":"client"}}}],` +
	`"rules":[{"name":"read","match":[{"paths":["/orders/{id}"],"methods":["GET"]}],"allow":{"scopes":["orders.read"],"claims":[{"claim":"tenant","exists":true}]}},` +
	`{"name":"never","match":[{"paths":["/internal/**"]}],"deny":{}},{"name":"docs","match":[{"paths":["/docs/**"]}],"allow":{"anonymous":true}}],` +
	`"forward":{"token":"Strip","headers":[{"name":"X-User","claim":"sub"}]}}`

// wireMessages are a message of each kind, with every field, by the name of its file.
func wireMessages(t *testing.T) map[string]proto.Message {
	t.Helper()
	spec, err := policy.DecodeSpec([]byte(wireSpec))
	if err != nil {
		t.Fatal(err)
	}
	corp, opaque := spec.Issuers[0], spec.Issuers[1]
	encoded, err := bundle.Encode(bundle.Assemble([]bundle.Object{{Namespace: "shop", Name: "orders", Generation: 3, Spec: spec}}, map[string]bundle.KeySet{
		bundle.SourceID("shop", corp):          {JWKS: []byte(`{"keys":[{"kty":"RSA","kid":"a"}]}`)},
		bundle.DecryptionID("shop", corp):      {JWKS: []byte(`{"keys":[{"kty":"oct","kid":"b"}]}`)},
		bundle.IntrospectionID("shop", opaque): {JWKS: []byte(`{"auth":"Basic"}`)},
	}))
	if err != nil {
		t.Fatal(err)
	}
	var b pushv1.Bundle
	if err := proto.Unmarshal(encoded, &b); err != nil {
		t.Fatal(err)
	}
	const id, version = "url:https://login.example.com/jwks", "3b1f7a6d0f0f5f6c0d7f2c5d0a8b8f2d1f7a6d0f0f5f6c0d7f2c5d0a8b8f2d11"
	digest, set := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{9}, 32)
	gone := departed.Encode([]departed.Entry{departed.NewEntry("shop", "b0c1", time.Unix(1_800_000_000, 0))})
	client := func(m *pushv1.ClientMessage) proto.Message { return m }
	return map[string]proto.Message{
		"bundle":      &b,
		"hello":       client(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Hello{Hello: &pushv1.Hello{Version: version, Features: uint64(bundle.KnownFeatures), SidecarVersion: "0.1.0", Revocations: set}}}),
		"ack":         client(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Version: version, Revocations: set}}}),
		"nack":        client(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Version: version, Reason: "why", Revocations: set}}}),
		"unknown-key": client(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_UnknownKey{UnknownKey: &pushv1.UnknownKey{KeySet: id, Answer: true}}}),
		"state": client(&pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: &pushv1.State{
			KeySets: []*pushv1.HeldKeySet{{Id: id, Digest: digest, Count: 2}}, OpenPorts: []*pushv1.OpenPort{{Port: 8080}},
			ForeignPorts: []*pushv1.ForeignPort{{Port: 9000, Protocol: "TLS"}}, Unsaved: true,
		}}}),
		"server": &pushv1.ServerMessage{
			Version: version, Bundle: []byte("a bundle"), Gone: gone, KeysChecked: &pushv1.KeysChecked{KeySet: id, Digest: digest, BeganAfterMs: 20, NextAfterMs: 5000},
			Revocations: &pushv1.Revocations{Base: set, Version: digest, Added: bytes.Repeat([]byte{1}, 20), Removed: bytes.Repeat([]byte{2}, 20), More: true},
			Current:     version, Leaving: true,
		},
	}
}

func encodeWire(t *testing.T, m proto.Message) []byte {
	t.Helper()
	out, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// releases are the versions that have a folder, oldest first.
func releases(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(wire)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.SortFunc(out, func(a, b string) int { return slices.Compare(numbers(t, a), numbers(t, b)) })
	return out
}

// numbers are those of a version.
func numbers(t *testing.T, version string) (out []int) {
	t.Helper()
	for part := range strings.SplitSeq(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(version, err)
		}
		out = append(out, n)
	}
	return out
}

// The newest release's folder holds what this code writes. Where this fails, the wire has changed: older controllers and sidecars would have to
// read it. If that is meant, and a feature bit keeps those from it that cannot, give the release a folder by -new-wire.
func TestTheWireIsUnchanged(t *testing.T) {
	t.Parallel()
	messages := wireMessages(t)
	if *newWire != "" {
		writeWire(t, filepath.Join(wire, *newWire), messages)
	}
	all := releases(t)
	newest := filepath.Join(wire, all[len(all)-1])
	for name, m := range messages {
		want, err := os.ReadFile(filepath.Join(newest, name+".pb"))
		if err != nil {
			t.Fatal(err)
		}
		if got := encodeWire(t, m); !bytes.Equal(got, want) {
			t.Errorf("%s is %x, and in %s %x", name, got, newest, want)
		}
	}
}

func writeWire(t *testing.T, dir string, messages map[string]proto.Message) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // testdata; and what a release has said is never written again
		t.Fatal(err)
	}
	for name, m := range messages {
		text, err := prototext.MarshalOptions{Multiline: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		for ext, data := range map[string][]byte{".pb": encodeWire(t, m), ".txtpb": text} {
			if err := os.WriteFile(filepath.Join(dir, name+ext), data, 0o644); err != nil { //nolint:gosec // testdata
				t.Fatal(err)
			}
		}
	}
}

// Whatever a release has ever said is read today, whole: no field is unknown, or means another one now.
func TestTheWireOfEveryReleaseIsRead(t *testing.T) {
	t.Parallel()
	messages := wireMessages(t)
	for _, release := range releases(t) {
		files, err := filepath.Glob(filepath.Join(wire, release, "*.pb"))
		if err != nil || len(files) < 7 {
			t.Fatal(release, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(strings.TrimSuffix(file, ".pb") + ".txtpb")
			if err != nil {
				t.Fatal(err)
			}
			kind, ok := messages[strings.TrimSuffix(filepath.Base(file), ".pb")]
			if !ok {
				t.Fatalf("%s is of no message that there is", file)
			}
			got, want := kind.ProtoReflect().New().Interface(), kind.ProtoReflect().New().Interface()
			if err := errors.Join(proto.Unmarshal(data, got), prototext.Unmarshal(text, want)); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if d := cmp.Diff(want, got, protocmp.Transform()); d != "" {
				t.Errorf("%s means something else now:\n%s", file, d)
			}
		}
		encoded, err := os.ReadFile(filepath.Join(wire, release, "bundle.pb"))
		if err != nil {
			t.Fatal(err)
		}
		b, err := bundle.Decode(encoded)
		if err != nil {
			t.Fatalf("%s: %v", release, err)
		}
		if b.Policies[0].ID() != "shop/orders" || len(b.Policies[0].Spec.Rules) != 3 || len(b.KeySets) != 3 {
			t.Errorf("%s: %+v", release, b)
		}
	}
}

// Every field of every message is in the fixture: what was added later and is not, nothing would hold.
func TestTheFixtureHasEveryField(t *testing.T) {
	t.Parallel()
	seen := map[protoreflect.FullName]bool{}
	for _, m := range wireMessages(t) {
		var walk func(protoreflect.Message)
		walk = func(m protoreflect.Message) {
			m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				seen[f.FullName()] = true
				switch {
				case f.Message() == nil:
				case f.IsList():
					for i := range v.List().Len() {
						walk(v.List().Get(i).Message())
					}
				default:
					walk(v.Message())
				}
				return true
			})
		}
		walk(m.ProtoReflect())
	}
	all := pushv1.File_push_proto.Messages()
	for i := range all.Len() {
		fields := all.Get(i).Fields()
		for j := range fields.Len() {
			if f := fields.Get(j); !seen[f.FullName()] {
				t.Errorf("%s is in no message of the fixture", f.FullName())
			}
		}
	}
}

// What a newer release adds, at any depth, is refused: a sidecar that passed over it could let in more than the policy does.
func TestWhatANewerReleaseAddsIsRefused(t *testing.T) {
	t.Parallel()
	of := func() *pushv1.Bundle { return proto.CloneOf(wireMessages(t)["bundle"].(*pushv1.Bundle)) }
	added := protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1)
	for where, add := range map[string]func(*pushv1.Bundle) protoreflect.Message{
		"the bundle": func(b *pushv1.Bundle) protoreflect.Message { return b.ProtoReflect() },
		"a policy":   func(b *pushv1.Bundle) protoreflect.Message { return b.GetPolicies()[0].ProtoReflect() },
		"an issuer's keys": func(b *pushv1.Bundle) protoreflect.Message {
			return b.GetPolicies()[0].GetIssuerKeys()[1].ProtoReflect()
		},
		"a key set": func(b *pushv1.Bundle) protoreflect.Message { return b.GetKeySets()[0].ProtoReflect() },
	} {
		b := of()
		add(b).SetUnknown(added)
		if _, err := bundle.Decode(encodeWire(t, b)); !errors.Is(err, bundle.ErrNewer) {
			t.Errorf("a field of %s: %v, want it refused", where, err)
		}
	}
	b := of()
	b.Features |= 1 << 40
	if _, err := bundle.Decode(encodeWire(t, b)); !errors.Is(err, bundle.ErrUnknownFeature) {
		t.Errorf("a feature: %v", err)
	}
	b = of()
	b.Policies[0].Spec = []byte(strings.Replace(string(b.GetPolicies()[0].GetSpec()), `"deny":{}`, `"deny":{"unless":"x"}`, 1))
	if _, err := bundle.Decode(encodeWire(t, b)); err == nil || !strings.Contains(err.Error(), `unknown field "unless"`) {
		t.Errorf("a field of a rule: %v", err)
	}
}
