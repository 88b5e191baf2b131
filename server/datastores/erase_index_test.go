package datastores

import (
	"context"
	"fmt"
	"testing"

	"github.com/fhirlake/fhirlake/fhir/r4"
	"github.com/fhirlake/fhirlake/store/catalog"
	"github.com/fhirlake/fhirlake/store/delta"
	"github.com/fhirlake/fhirlake/store/lake"
)

// TestEraseLeavesNothingInTheIndex: the index of a layer has the values of all its types,
// of which only one is written anew.
func TestEraseLeavesNothingInTheIndex(t *testing.T) {
	x := newCompacting(t, CompactorOptions{}, catalog.Retention{})
	const secret = "hush-hush-4711"
	x.write(x.id, 30)
	x.writeOne(x.id, "victim", secret)
	w := lake.Write{Type: r4.TypePatient, ID: "p", Method: delta.Update, Content: 1}
	w.Stamp = func(dst []byte, number uint32, updated string) []byte {
		return fmt.Appendf(dst, `{"resourceType":"Patient","id":"p","meta":{"versionId":"%d","lastUpdated":"%s"}}`, number, updated)
	}
	if _, err := x.lake(x.id).Commit(context.Background(), []lake.Write{w}); err != nil {
		t.Fatal(err)
	}
	x.compact(Request{})
	if err := x.c.Erase(context.Background(), x.id, r4.TypeBasic, "victim"); err != nil {
		t.Fatal(err)
	}
	x.expectNowhere(secret)
}
