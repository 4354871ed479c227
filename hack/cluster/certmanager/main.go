// Command cert-manager is cert-manager's controller, cainjector and webhook in one binary, for tests on a node: the packages of its release
// behind those flags that its chart sets. The name by which it is called says which of the three it is.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/cert-manager/cert-manager/pkg/logs"
)

// commands are what there is, by the name of the binary.
var commands = map[string]func(ctx context.Context, fs *pflag.FlagSet, args []string) error{
	"cert-manager-controller": runController,
	"cert-manager-cainjector": runInjector,
	"cert-manager-webhook":    runWebhook,
}

func main() {
	name := filepath.Base(os.Args[0])
	run, ok := commands[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s: want to be called cert-manager-controller, cert-manager-cainjector or cert-manager-webhook\n", name)
		os.Exit(2)
	}
	logs.InitLogs()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(logs.NewContext(ctx, logs.Log, name), pflag.NewFlagSet(name, pflag.ContinueOnError), os.Args[1:])
	stop()
	if err != nil && ctx.Err() == nil {
		logs.Log.Error(err, "the command ends")
		logs.FlushLogs()
		os.Exit(1)
	}
	logs.FlushLogs()
}
