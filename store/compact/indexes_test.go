package compact

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestMergeIndexes(t *testing.T) {
	live := func(n int64) IndexFile { return IndexFile{Rows: n, Live: n} }
	gone := func(rows, live int64) IndexFile { return IndexFile{Rows: rows, Live: live, Gone: true} }
	tests := []struct {
		name  string
		files []IndexFile
		whole bool
		want  []int
	}{
		{"none", nil, true, nil},
		{"one that is good", []IndexFile{live(5)}, true, nil},
		{"two alike", []IndexFile{live(5), live(5)}, false, []int{0, 1}},
		{"a far larger one stays", []IndexFile{live(100), live(5), live(6)}, false, []int{1, 2}},
		{"each more than twice of all smaller", []IndexFile{live(1), live(3), live(9), live(27)}, false, nil},
		{"the sum of the small ones takes the large one in", []IndexFile{live(27), live(4), live(9), live(1)}, false, []int{0, 1, 2, 3}},
		{"a middle one is taken with all smaller", []IndexFile{live(1000), live(1), live(40), live(25)}, false, []int{1, 2, 3}},
		{"whole", []IndexFile{live(1), live(1000)}, true, []int{0, 1}},
		{"some rows are gone", []IndexFile{gone(10, 5)}, false, nil},
		{"most rows are gone", []IndexFile{gone(10, 4)}, false, []int{0}},
		{"all rows are gone", []IndexFile{gone(10, 0)}, false, []int{0}},
		{"some are gone, of nobody knows how many", []IndexFile{gone(0, 5)}, false, []int{0}},
		{"some rows are gone, whole", []IndexFile{gone(10, 9)}, true, []int{0}},
		{"rows that have to leave", []IndexFile{live(1), {Rows: 1000, Live: 999, Gone: true, Must: true}, live(3000)}, false, []int{0, 1}},
		{"rows that have to leave, and are in no file", []IndexFile{{Rows: 10, Live: 10, Must: true}}, false, nil},
		{"what is rewritten takes smaller ones along", []IndexFile{gone(1000, 100), live(20), live(500)}, false, []int{0, 1}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := MergeIndexes(test.files, test.whole); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// TestIndexesStayFew adds files of random sizes and merges after every few of them.
func TestIndexesStayFew(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 5))
	var files []IndexFile
	total, copied := int64(0), int64(0)
	for range 500 {
		for range 1 + rng.IntN(4) {
			n := int64(1 + rng.ExpFloat64()*50)
			files = append(files, IndexFile{Rows: n, Live: n})
			total += n
		}
		picked := MergeIndexes(files, false)
		sum := int64(0)
		for _, i := range slices.Backward(picked) {
			sum += files[i].Live
			files = slices.Delete(files, i, i+1)
		}
		if copied += sum; sum > 0 {
			files = append(files, IndexFile{Rows: sum, Live: sum})
		}
		slices.SortFunc(files, func(a, b IndexFile) int { return int(a.Live - b.Live) })
		smaller := int64(0)
		for _, f := range files {
			if f.Live <= growth*smaller {
				t.Fatalf("one of %d rows is beside smaller ones of %d", f.Live, smaller)
			}
			smaller += f.Live
		}
	}
	levels := math.Log(float64(total)) / math.Log(3)
	if n := float64(len(files)); n > levels+1 {
		t.Errorf("%d rows lie in %v files", total, n)
	}
	if times := float64(copied) / float64(total); times > levels+1 {
		t.Errorf("a row was copied %.1f times", times)
	}
}
