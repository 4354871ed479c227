package inject_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/bearerguard/bearerguard/controllers/inject"
)

func validConfig() inject.Config {
	address, name := inject.PushService("bearerguard-system", "")
	return inject.Config{
		Image: "bearerguard.test/bearerguard:v1", Version: "v1", PushAddress: address, PushServerName: name,
		CPU: resource.MustParse("20m"), Memory: resource.MustParse("32Mi"), MemoryLimit: resource.MustParse("128Mi"),
		RunAsUser: new(int64(65532)), RunAsGroup: new(int64(65532)),
		ExcludedNamespaces: []string{"kube-system", "bearerguard-system"},
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*inject.Config)
		want   string
	}{
		"a whole configuration is valid":    {func(*inject.Config) {}, ""},
		"an image is needed":                {func(c *inject.Config) { c.Image = "" }, "sidecar image: is empty; want it set"},
		"a log level must be known":         {func(c *inject.Config) { c.LogLevel = "loud" }, `sidecar log level: "loud" is not known; want error, info or debug`},
		"a CPU request is needed":           {func(c *inject.Config) { c.CPU = resource.Quantity{} }, "sidecar cpu: is 0; want more than 0, such as 50m"},
		"memory has a least amount":         {func(c *inject.Config) { c.Memory = resource.MustParse("1Mi") }, "sidecar memory: is 1Mi; want at least 24Mi"},
		"the limit is at least the request": {func(c *inject.Config) { c.MemoryLimit = resource.MustParse("30Mi") }, "sidecar memory limit: 30Mi is below the request of 32Mi; want at least that"},
		"every problem is named": {func(c *inject.Config) { c.Version, c.PushAddress, c.PushServerName = "", "", "" },
			"sidecar version: is empty; want it set\nsidecar push address: is empty; want it set\nsidecar push server name: is empty; want it set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := validConfig()
			tc.change(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
