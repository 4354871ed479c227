package capture

import (
	"errors"
	"fmt"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Install puts the redirect in place, in one transaction and instead of any earlier one of ours; it may be run again.
// Other tables are not touched. It needs CAP_NET_ADMIN in the network namespace, and a kernel with nftables NAT for
// the family inet (5.2 and newer).
func Install(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	table := replaceTable(conn)
	chain := conn.AddChain(&nftables.Chain{
		Name: "inbound", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest,
	})
	excluded := &nftables.Set{
		Table: table, Name: "excluded", KeyType: nftables.TypeInetService, KeyByteOrder: binaryutil.BigEndian,
	}
	if err := conn.AddSet(excluded, ports(c)); err != nil {
		return fmt.Errorf("define excluded ports: %w", err)
	}
	for _, e := range [][]expr.Any{
		{&expr.Meta{Key: expr.MetaKeyIIFTYPE, Register: 1}, equal(binaryutil.NativeEndian.PutUint16(unix.ARPHRD_LOOPBACK)), leave()},
		append(tcpPort(), &expr.Lookup{SourceRegister: 1, SetName: excluded.Name, SetID: excluded.ID}, leave()),
		append(tcp(), &expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(c.To)}, &expr.Redir{RegisterProtoMin: 1}),
	} {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: e})
	}
	return flush(conn)
}

// Remove takes the redirect away. It is no error if there is none.
func Remove() error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	table := replaceTable(conn)
	conn.DelTable(table)
	return flush(conn)
}

// replaceTable leaves an empty table, whether there was one or not.
func replaceTable(conn *nftables.Conn) *nftables.Table {
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: Table}
	conn.AddTable(table)
	conn.DelTable(table)
	return conn.AddTable(table)
}

func flush(conn *nftables.Conn) error {
	err := conn.Flush()
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("write nftables rules: %w; want the capability NET_ADMIN", err)
	}
	if err != nil {
		return fmt.Errorf("write nftables rules: %w", err)
	}
	return nil
}

// ports returns the set of ports that are left alone, each once.
func ports(c Config) []nftables.SetElement {
	seen := map[uint16]bool{}
	var out []nftables.SetElement
	for _, p := range append([]uint16{c.To}, c.Exclude...) {
		if !seen[p] {
			seen[p] = true
			out = append(out, nftables.SetElement{Key: binaryutil.BigEndian.PutUint16(p)})
		}
	}
	return out
}

func tcp() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equal([]byte{unix.IPPROTO_TCP})}
}

// tcpPort loads the destination port into register 1.
func tcpPort() []expr.Any {
	return append(tcp(), &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
}

func equal(data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}
}

func leave() expr.Any {
	return &expr.Verdict{Kind: expr.VerdictReturn}
}
