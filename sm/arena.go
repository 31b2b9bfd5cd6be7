package sm

// arena hands out byte slices from blocks that are never reused: what was handed
// out stays valid for as long as something refers to it, and a block is freed
// when nothing in it is referred to any more.
type arena struct {
	block []byte
	size  int
}

const (
	arenaBlockFirst = 512
	arenaBlockMax   = 64 << 10
)

// alloc returns n bytes.
func (a *arena) alloc(n int) []byte {
	if n > len(a.block) {
		if n >= arenaBlockMax/4 {
			return make([]byte, n)
		}
		a.size = min(max(2*a.size, arenaBlockFirst), arenaBlockMax)
		for a.size < n {
			a.size *= 2
		}
		a.block = make([]byte, a.size)
	}
	b := a.block[:n:n]
	a.block = a.block[n:]
	return b
}

// copy returns a copy of b.
func (a *arena) copy(b []byte) []byte {
	c := a.alloc(len(b))
	copy(c, b)
	return c
}
