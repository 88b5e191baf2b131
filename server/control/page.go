package control

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"sort"
)

// page is which part of a list a client wants.
type page struct {
	NextToken  string
	MaxResults *int
}

// pageSize is how many a page has when the client does not say, maxPage how many it may say.
const (
	pageSize = 100
	maxPage  = 500
)

func (c *checks) page(p *page) {
	if p.MaxResults != nil && (*p.MaxResults < 1 || *p.MaxResults > maxPage) {
		c.add("MaxResults must be 1 to %d", maxPage)
	}
	c.text("NextToken", p.NextToken, 8192, true)
}

// place is where something is in a list: lists are in the order of time, then id, in which
// what comes later comes at the end.
type place struct {
	At int64  `json:"t"` // Unix milliseconds
	ID string `json:"id"`
}

func (p place) before(o place) bool { return p.At < o.At || p.At == o.At && p.ID < o.ID }

// token is a NextToken: the last place that was shown, and which list that was.
type token struct {
	place
	List string `json:"l"`
}

// cut gives a page of a list, and the token of the next one, "" for none. Which names the
// list with its filters: a token is of use for that one only.
func cut[T any](all []T, p *page, which string, at func(T) place) (part []T, next string, err error) {
	sum := sha256.Sum256([]byte(which))
	list := base64.RawURLEncoding.EncodeToString(sum[:9])
	if p.NextToken != "" {
		var t token
		text, err := base64.RawURLEncoding.DecodeString(p.NextToken)
		if err != nil || json.Unmarshal(text, &t) != nil || t.List != list {
			return nil, "", &fault{kind: validation, Message: "NextToken is not one that this list has given"}
		}
		all = all[sort.Search(len(all), func(i int) bool { return t.before(at(all[i])) }):]
	}
	n := pageSize
	if p.MaxResults != nil {
		n = *p.MaxResults
	}
	if len(all) <= n {
		return all, "", nil
	}
	text, err := json.Marshal(token{at(all[n-1]), list})
	if err != nil {
		return nil, "", err
	}
	return all[:n], base64.RawURLEncoding.EncodeToString(text), nil
}
