package probe_test

import (
	"strings"
	"testing"

	"github.com/bearerguard/bearerguard/api/probe"
)

func TestWhatIsNoProbeIsRefusedByName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`[]`:                                   "is not the JSON that the injector writes",
		`{"app":{"tcpSocket":{"port":1}}}`:     `"app" is no name of a probe`,
		`{"app/readiness":{}}`:                 "app/readiness: has 0 of httpGet",
		`{"app/readiness":{"exec":{}}}`:        "is not the JSON",
		`{"a/b":{"tcpSocket":{"port":70000}}}`: "a/b: port: is 70000",
	} {
		if _, err := probe.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: err = %v; want %s", text, err, want)
		}
	}
	if probes, err := probe.Parse(""); err != nil || probes != nil {
		t.Errorf("no text: got %v, %v", probes, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"app/readiness":{"httpGet":{"scheme":"HTTP","port":8080,"path":"/ok"}}}`)
	f.Add(`{"a/b":{"grpc":{"port":1,"service":"x"}},"c/d":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		probes, err := probe.Parse(text)
		if err != nil && probes != nil {
			t.Error("probes beside an error")
		}
	})
}
