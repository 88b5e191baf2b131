package blob

import (
	"fmt"
	"strings"
)

// Scheme is how the URIs of buckets begin.
const Scheme = "s3://"

// IsURI tells whether a text means a bucket, and no local path.
func IsURI(s string) bool { return len(s) >= len(Scheme) && strings.EqualFold(s[:len(Scheme)], Scheme) }

// URI is a place in a bucket: an object, or all whose keys are below it.
type URI struct {
	Bucket string
	Key    string // without slashes at its ends; "" is the whole bucket
}

// ParseURI reads s3://bucket or s3://bucket/key. The key is taken as it is: nothing in it is
// an escape.
func ParseURI(s string) (URI, error) {
	if !IsURI(s) {
		return URI{}, fmt.Errorf("%q is no place in a bucket; expected s3://bucket/key", s)
	}
	bucket, key, _ := strings.Cut(s[len(Scheme):], "/")
	if !validBucket(bucket) {
		return URI{}, fmt.Errorf("%q names the bucket %q; a bucket's name has 3 to 63 small letters, digits, dots and hyphens", s, bucket)
	}
	return URI{bucket, strings.Trim(key, "/")}, nil
}

func validBucket(name string) bool {
	if len(name) < 3 || len(name) > 63 {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
			return false
		}
	}
	return name[0] != '.' && name[0] != '-' && !strings.Contains(name, "..")
}

func (u URI) String() string {
	if u.Key == "" {
		return Scheme + u.Bucket
	}
	return Scheme + u.Bucket + "/" + u.Key
}

// Below is the place of a name below u.
func (u URI) Below(name string) URI {
	if u.Key != "" {
		name = u.Key + "/" + name
	}
	return URI{u.Bucket, name}
}

// nameOf gives what a key has behind u, and whether it is u or below it.
func (u URI) nameOf(key string) (name string, ok bool) {
	if u.Key == "" {
		return key, true
	}
	rest, ok := strings.CutPrefix(key, u.Key)
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}
