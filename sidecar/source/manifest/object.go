package manifest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/policy"
)

// The kinds of objects, and the group and version of the project's own.
const (
	kindPolicy     = "AuthPolicy"
	kindRevocation = "TokenRevocation"
	kindSource     = "RevocationSource"
	kindSecret     = "Secret"
	kindConfigMap  = "ConfigMap"

	ownVersion  = "bearerguard.dev/v1alpha1"
	coreVersion = "v1"
)

// errSource says that an object is a RevocationSource where these are skipped.
var errSource = errors.New("is a RevocationSource")

// objectMeta is what counts of an object's metadata; tools write more into it than a person does.
type objectMeta struct {
	Name      string
	Namespace string
}

type authPolicy struct {
	header
	Spec   policySpec `json:"spec"`
	Status ignored    `json:"status"`
}

type policySpec struct {
	Selector policy.Selector `json:"selector"`
	// NetworkPolicy is for the controller of a cluster.
	NetworkPolicy bool `json:"networkPolicy"`
	policy.Spec
}

type tokenRevocation struct {
	header
	Spec   policy.Revocation `json:"spec"`
	Status ignored           `json:"status"`
}

type secret struct {
	header
	Type       string            `json:"type"`
	Immutable  bool              `json:"immutable"`
	Data       map[string]string `json:"data"`
	StringData map[string]string `json:"stringData"`
}

type configMap struct {
	header
	Immutable  bool              `json:"immutable"`
	Data       map[string]string `json:"data"`
	BinaryData map[string]string `json:"binaryData"`
}

// header has the fields that every object has; they have been read before its kind was known.
type header struct {
	APIVersion ignored `json:"apiVersion"`
	Kind       ignored `json:"kind"`
	Metadata   ignored `json:"metadata"`
}

// read adds the documents of a file to the set.
func (s *Set) read(f File, defaultNamespace string) []error {
	if len(bytes.TrimSpace(f.Data)) == 0 { // cut short or being written: what it held must not vanish from the rules
		return []error{&Error{File: f.Name, Problem: "is empty; want an object in it, or no file"}}
	}
	if len(f.Data) > MaxFile {
		return []error{&Error{File: f.Name, Problem: fmt.Sprintf("is larger than %d bytes", MaxFile)}}
	}
	d := &decoder{file: f.Name, most: maxVisits, skipSources: s.cluster}
	stream := yaml.NewDecoder(bytes.NewReader(f.Data))
	var problems []error
	for {
		var doc yaml.Node
		err := stream.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return problems
		}
		if err != nil {
			return append(problems, syntaxError(f.Name, err))
		}
		root := doc.Content[0]
		objects, err := d.objects(root, 0)
		if err != nil {
			problems = append(problems, err)
		}
		for _, n := range objects {
			if err := s.add(d, n, defaultNamespace); err != nil {
				problems = append(problems, err)
			}
		}
	}
}

// syntaxError moves the line out of the YAML parser's text. What the parser, as opposed to its scanner, complains about
// has the line before the start of the block in question.
func syntaxError(file string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, problem, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, text = n, problem
				if strings.HasPrefix(text, "did not find") {
					line, text = n+1, text+", here or further down"
				}
			}
		}
	}
	return &Error{File: file, Line: line, Problem: "is not YAML: " + text}
}

// add decodes one object and puts it into the set.
func (s *Set) add(d *decoder, n *yaml.Node, defaultNamespace string) error {
	if skip, err := d.foreign(n); err != nil || skip != "" {
		if err == nil {
			s.Skipped = append(s.Skipped, fmt.Sprintf("%s:%d: %s: is not used here, and skipped", d.file, n.Line, skip))
		}
		return err
	}
	kind, meta, err := d.headerOf(n)
	if errors.Is(err, errSource) {
		s.Skipped = append(s.Skipped, fmt.Sprintf("%s:%d: RevocationSource %s: is for the controller of a cluster, and skipped", d.file, n.Line, meta.Name))
		return nil
	}
	if err != nil {
		return err
	}
	if meta.Namespace == "" {
		meta.Namespace = defaultNamespace
	}
	id := objectID{kind, Ref{meta.Namespace, meta.Name}}
	if before, twice := s.origins[id]; twice {
		return d.errorAt(n, "", "%s %s/%s is defined at %s:%d already; want one definition",
			kind, meta.Namespace, meta.Name, before.file, before.node.Line)
	}
	s.origins[id] = origin{file: d.file, node: n}
	switch kind {
	case kindPolicy:
		return s.addPolicy(d, n, meta)
	case kindRevocation:
		return s.addRevocation(d, n, meta)
	case kindSecret:
		return s.addSecret(d, n, id.ref)
	default:
		return s.addConfigMap(d, n, id.ref)
	}
}

// headerOf reads what an object is and how it is called.
func (d *decoder) headerOf(n *yaml.Node) (kind string, meta objectMeta, err error) {
	var version string
	texts := map[string]*string{
		"apiVersion": &version, "kind": &kind, "metadata.name": &meta.Name, "metadata.namespace": &meta.Namespace,
	}
	if err := d.texts(n, texts); err != nil {
		return "", meta, err
	}
	switch want := versionOf(kind); {
	case kind == kindSource && d.skipSources:
		return "", meta, errSource
	case kind == kindSource:
		return "", meta, d.errorAt(n, "kind", "RevocationSource is for the controller of a cluster, which has an endpoint for events; want TokenRevocation")
	case want == "":
		return "", meta, d.errorAt(n, "kind", "%q is not used here; want AuthPolicy, TokenRevocation, Secret or ConfigMap", kind)
	case version != want:
		return "", meta, d.errorAt(n, "apiVersion", "is %q; want %s for a %s", version, want, kind)
	case !isName(meta.Name):
		return "", meta, d.errorAt(n, "metadata.name", "is missing or malformed; want lower-case letters, digits, '-' and '.'")
	case meta.Namespace != "" && !isName(meta.Namespace):
		return "", meta, d.errorAt(n, "metadata.namespace", "is malformed; want lower-case letters, digits and '-'")
	}
	return kind, meta, nil
}

// texts reads the members of an object, and of its metadata, that want names by their paths.
func (d *decoder) texts(n *yaml.Node, want map[string]*string) error {
	return d.members(n, "", func(_, value *yaml.Node, path string) error {
		if p := want[path]; p != nil {
			return d.decode(value, reflect.ValueOf(p).Elem(), path, 1)
		}
		if path != "metadata" {
			return nil
		}
		return d.members(value, path, func(_, value *yaml.Node, path string) error {
			if p := want[path]; p != nil {
				return d.decode(value, reflect.ValueOf(p).Elem(), path, 2)
			}
			return nil
		})
	})
}

// versionOf returns the version of a kind that is used here, or "".
func versionOf(kind string) string {
	switch kind {
	case kindPolicy, kindRevocation:
		return ownVersion
	case kindSecret, kindConfigMap:
		return coreVersion
	}
	return ""
}

// isName checks for a DNS subdomain (RFC 1123), as Kubernetes wants for names.
func isName(s string) bool {
	if s == "" || len(s) > 253 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return false
	}
	return !strings.ContainsAny(s[:1]+s[len(s)-1:], "-.") && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) < 0
}

func (s *Set) addPolicy(d *decoder, n *yaml.Node, meta objectMeta) error {
	var o authPolicy
	if err := d.decode(n, reflect.ValueOf(&o).Elem(), "", 0); err != nil {
		return err
	}
	if err := o.Spec.Selector.Validate("spec.selector"); err != nil {
		return d.fieldError(n, err)
	}
	s.Policies = append(s.Policies, bundle.Object{
		Namespace: meta.Namespace, Name: meta.Name, Selector: o.Spec.Selector, Spec: o.Spec.Spec,
	})
	return nil
}

func (s *Set) addRevocation(d *decoder, n *yaml.Node, meta objectMeta) error {
	var o tokenRevocation
	if err := d.decode(n, reflect.ValueOf(&o).Elem(), "", 0); err != nil {
		return err
	}
	if err := o.Spec.Validate("spec"); err != nil {
		return d.fieldError(n, err)
	}
	s.Revocations = append(s.Revocations, Revocation{Namespace: meta.Namespace, Name: meta.Name, Revocation: o.Spec})
	return nil
}

// fieldError turns "path: problem" into an *Error with the path's line.
func (d *decoder) fieldError(n *yaml.Node, err error) error {
	path, problem, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		return d.errorAt(n, "", "%s", err)
	}
	return &Error{File: d.file, Line: lineOf(n, path), Path: path, Problem: problem}
}

func (s *Set) addSecret(d *decoder, n *yaml.Node, ref Ref) error {
	var o secret
	if err := d.decode(n, reflect.ValueOf(&o).Elem(), "", 0); err != nil {
		return err
	}
	data, err := d.base64(n, "data", o.Data)
	if err != nil {
		return err
	}
	for k, v := range o.StringData { // wins over data, as in the API server
		data[k] = []byte(v)
	}
	s.Secrets[ref] = data
	return nil
}

func (s *Set) addConfigMap(d *decoder, n *yaml.Node, ref Ref) error {
	var o configMap
	if err := d.decode(n, reflect.ValueOf(&o).Elem(), "", 0); err != nil {
		return err
	}
	data, err := d.base64(n, "binaryData", o.BinaryData)
	if err != nil {
		return err
	}
	for k, v := range o.Data {
		data[k] = []byte(v)
	}
	s.ConfigMaps[ref] = data
	return nil
}

func (d *decoder) base64(n *yaml.Node, field string, encoded map[string]string) (Data, error) {
	out := make(Data, len(encoded))
	for k, v := range encoded {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), ""))
		if err != nil {
			path := join(field, k)
			return nil, &Error{File: d.file, Line: lineOf(n, path), Path: path, Problem: "is not base64; plain text goes into " + plainField(field)}
		}
		out[k] = raw
	}
	return out, nil
}

func plainField(field string) string {
	if field == "data" {
		return "stringData"
	}
	return "data"
}
