package parse

// KeyBefore gives the text of the key of an unknown member.
var KeyBefore = keyBefore
