package convert_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bearerguard/bearerguard/api/v1alpha1"
	"github.com/bearerguard/bearerguard/cmd/kubectl-bearerguard/convert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden converts testdata/NAME.in.yaml to NAME.out.yaml, notes included.
func TestGolden(t *testing.T) {
	t.Parallel()
	inputs, err := filepath.Glob("testdata/*.in.*")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no input", err)
	}
	for _, path := range inputs {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		result, err := convert.Run([]convert.File{{Name: filepath.Base(path), Data: data}}, optionsOf(t, data))
		var out bytes.Buffer
		result.Notes = slices.DeleteFunc(result.Notes, func(n convert.Note) bool {
			if n.File == "result" && strings.HasSuffix(path, "example.in.yaml") { // the others are open where their sources are
				t.Errorf("%s: the linter says: %s", path, n)
			}
			return n.File == "result"
		})
		if err != nil {
			out.WriteString("# refused: " + err.Error() + "\n")
		} else if err := convert.Write(&out, result); err != nil {
			t.Fatal(err)
		}
		before, _, _ := strings.Cut(path, ".in.")
		golden := before + ".out.yaml"
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || !bytes.Equal(want, out.Bytes()) {
			t.Errorf("%s: %v; not as %s says; -update rewrites it:\n%s", path, err, golden, out.String())
		}
	}
}

// optionsOf reads the flags that a file is converted with out of its first line: "# convert: --selector app=web".
func optionsOf(t *testing.T, data []byte) (o convert.Options) {
	t.Helper()
	line, _, _ := strings.Cut(string(data), "\n")
	flags, found := strings.CutPrefix(line, "# convert: ")
	if !found {
		return o
	}
	words := strings.Fields(flags)
	for i := 0; i+1 < len(words); i += 2 {
		switch value := words[i+1]; words[i] {
		case "--selector":
			key, text, _ := strings.Cut(value, "=")
			o.Selector = map[string]string{key: text}
		case "--cluster-issuer":
			o.ClusterIssuer = value
		case "--client-id":
			o.ClientID = value
		case "--allow-authenticated":
			o.AllowAuthenticated = value == "true"
		default:
			t.Fatalf("flag %s", words[i])
		}
	}
	return o
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"an alias":                    "a: &x 1\nb: *x\n",
		"a member that comes twice":   "kind: AuthorizationPolicy\nkind: AuthorizationPolicy\n",
		"what is no YAML":             "a: [",
		"a text":                      "hello",
		"an action that is unknown":   "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {action: PERMIT}\n",
		"a selector that is not read": "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {selector: {matchExpressions: []}, rules: [{}]}\n",
		"a field that is not known":   "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {selectors: {}, rules: [{}]}\n",
		"rules that are no list":      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {rules: {}}\n",
		"issuers that tell the app different things": "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nspec: {jwtRules: [" +
			"{issuer: https://a.example, outputPayloadToHeader: x-a}, {issuer: https://b.example}]}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := convert.Run([]convert.File{{Name: "f", Data: []byte(in)}}, convert.Options{})
			var refused *convert.RefusedError
			if !errors.As(err, &refused) || refused.Line == 0 || len(r.Policies) > 0 {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
}

// An issuer whose audiences cannot be read is not one that takes any.
func TestOddAudiences(t *testing.T) {
	t.Parallel()
	for _, odd := range []string{"audiences: orders", "audiences: {a: b}", "audience: [orders]", "audiences: ['']"} {
		in := "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nspec: {jwtRules: [{issuer: https://a.example, " + odd + "}]}\n"
		r := run(t, []byte(in))
		if len(r.Policies) != 1 || len(r.Policies[0].Spec.Issuers) > 0 {
			t.Errorf("%s: %+v", odd, r.Policies)
		}
	}
}

// Texts with characters that do not show are written so that they are read as what they were; JSON is read as kubectl reads it.
func TestCharactersThatDoNotShow(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"apiVersion": "security.istio.io\/v1", "kind": "RequestAuthentication", "spec": {"jwtRules": [{"issuer": "https:\/\/a.example", "audiences": ["a` + "\uffff" + `b\ud83d\ude00"]}]}}`,
		"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nspec: {jwtRules: [{issuer: https://a.example, audiences: [\"a\\uffffb😀\"]}]}\n",
	} {
		r := run(t, []byte(in))
		var text bytes.Buffer
		if err := convert.Write(&text, r); err != nil {
			t.Fatal(err)
		}
		var got v1alpha1.AuthPolicy
		if err := yaml.UnmarshalStrict(text.Bytes(), &got); err != nil || len(got.Spec.Issuers) != 1 || !slices.Equal(got.Spec.Issuers[0].Audiences, []string{"a\uffffb😀"}) {
			t.Errorf("%s: %v\n%s", in, err, &text)
		}
	}
}

// FuzzRun holds what comes of foreign YAML to what a sidecar takes: Run compiles it.
func FuzzRun(f *testing.F) {
	inputs, err := filepath.Glob("testdata/*.in.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range inputs {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(jwtTable))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []convert.Options{{}, {Selector: map[string]string{"app": "a"}, ClusterIssuer: "https://cluster.example", AllowAuthenticated: true}} {
			r, err := convert.Run([]convert.File{{Name: "f", Data: data}}, o)
			var refused *convert.RefusedError
			if err != nil && !errors.As(err, &refused) {
				t.Error(err)
			}
			if err := convert.Write(&bytes.Buffer{}, r); err != nil {
				t.Error(err)
			}
		}
	})
}
