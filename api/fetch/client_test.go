package fetch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/bearerguard/bearerguard/api/fetch"
)

const (
	keys   = `{"keys":[{"kty":"EC","kid":"a"}]}`
	canary = "canary-7f3a"
)

func loopback() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

// open lets a test talk to its own servers.
func open() fetch.Options {
	return fetch.Options{AllowHTTP: true, AllowNets: loopback(), Timeout: 5 * time.Second}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		handler http.HandlerFunc
		options func(*fetch.Options)
		problem string // part of the error; empty: success
	}{
		"a key set is fetched": {handler: text(keys)},
		"a redirect on the same origin is followed": {handler: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/new" {
				http.Redirect(w, r, "/new", http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, keys)
		}},
		"a redirect to another port is refused": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		}, problem: "redirects to another origin"},
		"a redirect to the metadata service is refused": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
		}, problem: "redirects to another origin"},
		"a loop of redirects ends": {handler: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again", http.StatusFound)
		}, problem: "redirects more than 3 times"},
		"another status is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNonAuthoritativeInfo)
			_, _ = io.WriteString(w, keys)
		}, problem: "answered 203"},
		"an error page is not repeated": {handler: func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, canary, http.StatusInternalServerError)
		}, problem: "answered 500"},
		"text that is not JSON is refused":   {handler: text(canary), problem: "not a JWK Set"},
		"JSON without keys is refused":       {handler: text(`{"` + canary + `":1}`), problem: "not a JWK Set"},
		"keys that are null are refused":     {handler: text(`{"keys":null}`), problem: "not a JWK Set"},
		"keys that are a string are refused": {handler: text(`{"keys":"` + canary + `"}`), problem: "not a JWK Set"},
		"an announced giant is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000000")
			_, _ = io.WriteString(w, keys)
		}, problem: "larger than 1048576 bytes"},
		"a giant in chunks is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			for range 40 {
				_, _ = io.WriteString(w, strings.Repeat(" ", 64<<10))
			}
		}, problem: "larger than 1048576 bytes"},
		"a compressed answer is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, keys)
		}, problem: "compressed (Content-Encoding gzip), which was not asked for"},
		"an answer in a coding that is none is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "UTF-8")
			_, _ = io.WriteString(w, keys)
		}, problem: "no compression, such as a character set"},
		"no coding in so many words is none": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "Identity")
			_, _ = io.WriteString(w, keys)
		}},
		"a giant header is refused": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Big", strings.Repeat(canary, 20000))
			_, _ = io.WriteString(w, keys)
		}, problem: "connection broke off"},
		"an answer that never comes times out": {handler: func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}, options: func(o *fetch.Options) { o.Timeout = 50 * time.Millisecond }, problem: "no answer within 50ms"},
		"a body that never ends times out": {handler: func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, canary)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, options: func(o *fetch.Options) { o.Timeout = 200 * time.Millisecond }, problem: "no answer within 200ms"},
		"plain http needs leave":   {handler: text(keys), options: func(o *fetch.Options) { o.AllowHTTP = false }, problem: "scheme is http"},
		"loopback needs leave":     {handler: text(keys), options: func(o *fetch.Options) { o.AllowNets = nil }, problem: "address 127.0.0.1 is refused: loopback"},
		"a CA must hold something": {handler: text(keys), options: func(o *fetch.Options) { o.CA = []byte("junk") }, problem: "ca: holds no PEM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o := serve(t, test.handler), open()
			if test.options != nil {
				test.options(&o)
			}
			body, _, err := fetch.JWKS(t.Context(), s.URL+"/jwks", o)
			check(t, err, test.problem)
			if test.problem == "" && string(body) != keys {
				t.Errorf("body = %q, want %q", body, keys)
			}
		})
	}
}

// check compares an error with part of its text, and that it repeats nothing foreign.
func check(t *testing.T, err error, problem string) {
	t.Helper()
	switch {
	case problem == "" && err != nil:
		t.Errorf("error %v, want none", err)
	case problem != "" && (err == nil || !strings.Contains(err.Error(), problem)):
		t.Errorf("error %v, want one with %q", err, problem)
	case err != nil && strings.Contains(err.Error(), canary):
		t.Errorf("error repeats what the server sent: %v", err)
	}
}

func TestNameThatResolvesToLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, text(keys))
	o := open()
	o.AllowNets = nil
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	_, _, err := fetch.JWKS(t.Context(), "http://localhost:"+port+"/jwks", o)
	if e := (*fetch.AddressError)(nil); !errors.As(err, &e) {
		t.Errorf("error = %v, want an AddressError", err)
	}
}

func TestProxyFromEnvironmentIsIgnored(t *testing.T) {
	s := serve(t, text(keys))
	proxied := make(chan struct{}, 1)
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied <- struct{}{} })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	if _, _, err := fetch.JWKS(t.Context(), s.URL, open()); err != nil {
		t.Fatal(err)
	}
	if len(proxied) > 0 {
		t.Error("the proxy was asked")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(text(keys))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	o := open()
	o.AllowHTTP = false
	_, _, err := fetch.JWKS(t.Context(), s.URL, o)
	check(t, err, "authority that is not trusted")
	o.CA = ca
	_, _, err = fetch.JWKS(t.Context(), s.URL, o)
	check(t, err, "")
	_, _, err = fetch.JWKS(t.Context(), strings.Replace(s.URL, "127.0.0.1", "localhost", 1), o)
	check(t, err, "another host name")
}

// A certificate without subjectAltName is the commonest mistake of those who make their own.
func TestCommonNameAlone(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(text(keys))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	t.Cleanup(s.Close)
	o := open()
	o.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	_, _, err = fetch.JWKS(t.Context(), s.URL, o)
	check(t, err, "Common Name alone")
}

func TestForeignProtocolsAreNotRepeated(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-"+canary+"\r\n")
			_ = c.Close()
		}
	}()
	_, _, err = fetch.JWKS(t.Context(), "http://"+l.Addr().String()+"/", open())
	check(t, err, "connection broke off or the answer is not HTTP")
	_, _, err = fetch.JWKS(t.Context(), "https://"+l.Addr().String()+"/", open())
	check(t, err, "does not speak TLS")
}

func TestCancelledFetchSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := fetch.JWKS(ctx, "http://127.0.0.1:1/", open()); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want %v", err, context.Canceled)
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"https://login.example.com/jwks": "",
		"https://[2001:db8::1]:8443/":    "",
		"":                               "absolute URL",
		"/jwks":                          "absolute URL",
		"https:///jwks":                  "absolute URL",
		"https:jwks":                     "absolute URL",
		"https://a b/":                   "absolute URL",
		"file:///etc/passwd":             "absolute URL",
		"ftp://host/x":                   "neither http nor https",
		"gopher://host/x":                "neither http nor https",
		"http://host/x":                  "scheme is http",
		"https://u:p@host/":              "user or password",
		"https://host/#x":                "fragment",
		"https://host/" + strings.Repeat("a", 2100): "longer than 2048",
	}
	for u, problem := range tests {
		check(t, fetch.CheckURL(u, fetch.Options{}), problem)
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://host/", "http://[::1%25eth0]/", "https://%zz/", "https://u@h:99999/#f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if fetch.CheckURL(s, fetch.Options{}) == nil && !strings.HasPrefix(strings.ToLower(s), "https:") {
			t.Errorf("CheckURL takes %q", s)
		}
	})
}
