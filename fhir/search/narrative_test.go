package search

import (
	"testing"
)

func TestTextOfNarratives(t *testing.T) {
	for in, want := range map[string]string{
		`<div xmlns="http://www.w3.org/1999/xhtml">a</div>`: " a ",
		`<div><b>Bo</b>ne<br/>x</div>`:                      " Bone x ",
		`<div><td>a</td><td>b</td></div>`:                   "  a  b  ",
		`<div>a &amp; &lt;b&gt; &#233;&#xE9;</div>`:         " a & <b> éé ",
		`<div>a<!-- <p>no</p> -->b</div>`:                   " ab ",
		`<div>a<![CDATA[<x>&amp;]]>b</div>`:                 " a<x>&amp;b ",
		`a < b`:                                             "a ",
		`<`:                                                 "",
		`<!--`:                                              "",
		`<![CDATA[x`:                                        "x",
		"":                                                  "",
	} {
		if got := string(appendVisible(nil, []byte(in))); got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add([]byte("<div>a<!--b--><?c?>&amp;</div>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got := appendVisible(nil, text); len(got) > 4*len(text)+1 {
			t.Errorf("%d bytes of %d", len(got), len(text))
		}
	})
}
