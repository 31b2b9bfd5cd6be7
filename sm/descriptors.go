package sm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/tidemark-db/tidemark/log"
	"github.com/tidemark-db/tidemark/sm/catalog"
	"github.com/tidemark-db/tidemark/sm/keys"
)

// encodeDescriptor returns the stored form: the kind and msgpack by field name,
// in the order of declaration. It is part of the checksum, so equal descriptors
// must have equal bytes.
func encodeDescriptor(d catalog.Descriptor) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(byte(d.DescriptorKind()))
	enc := msgpack.NewEncoder(&b)
	enc.UseCompactInts(true)
	enc.SetOmitEmpty(true)
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("sm: descriptor %d: %w", d.DescriptorID(), err)
	}
	return b.Bytes(), nil
}

func decodeDescriptor(b []byte) (catalog.Descriptor, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: empty descriptor", errCorrupt)
	}
	var d catalog.Descriptor
	switch catalog.Kind(b[0]) {
	case catalog.KindSchema:
		d = &catalog.Schema{}
	case catalog.KindTable:
		d = &catalog.Table{}
	case catalog.KindSequence:
		d = &catalog.Sequence{}
	case catalog.KindView:
		d = &catalog.View{}
	case catalog.KindProcedure:
		d = &catalog.Procedure{}
	case catalog.KindPublication:
		d = &catalog.Publication{}
	default:
		return nil, fmt.Errorf("sm: descriptor of unknown kind %d", b[0])
	}
	dec := msgpack.NewDecoder(bytes.NewReader(b[1:]))
	// A field that is not known here could change what the object means.
	dec.DisallowUnknownFields(true)
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("sm: descriptor: %w", err)
	}
	return d, nil
}

// genesisSum is the checksum of a new database, which has the descriptors that
// every catalog begins with.
func genesisSum() (sum, error) {
	var total sum
	var h hasher
	for _, d := range catalog.New().All() {
		b, err := encodeDescriptor(d)
		if err != nil {
			return total, err
		}
		total.add(h.of(keys.AppendID(nil, keys.Descriptors, uint32(d.DescriptorID())), b))
	}
	return total, nil
}

// catalogVersion is the catalog from one offset on.
type catalogVersion struct {
	at      log.Offset
	catalog *catalog.Catalog // nil when it is not in memory
}

// loadCatalog reads the catalog as of an offset, and the offsets at which
// catalogs changed up to there.
func loadCatalog(s *store, asOf log.Offset) (*catalog.Catalog, []log.Offset, error) {
	// Whatever asOf is, it has been published by now.
	b := base{store: s, points: &s.points, scans: &s.scans, generation: s.scans.generation.Load(), asOf: asOf}
	c := baseCursor{b: &b}
	if err := c.open(); err != nil {
		return nil, nil, err
	}
	cat, versions, err := readCatalog(&c)
	return cat, versions, errors.Join(err, c.close())
}

func readCatalog(c *baseCursor) (*catalog.Catalog, []log.Offset, error) {
	cat := catalog.New()
	newest := log.Offset(0)
	err := c.start(keys.SpaceStart(keys.Descriptors), keys.SpaceStart(keys.Descriptors+1))
	for ; err == nil && c.valid; err = c.next() {
		newest = max(newest, c.version)
		if len(c.value) == 0 {
			k, err := keys.Decode(c.prefix)
			if err != nil {
				return nil, nil, err
			}
			cat.Delete(catalog.ID(k.ID))
			continue
		}
		d, err := decodeDescriptor(c.value)
		if err != nil {
			return nil, nil, err
		}
		cat.Put(d)
	}
	if err != nil {
		return nil, nil, err
	}
	cat.Publish(newest)
	// A second pass, over all versions, finds when the catalog changed.
	var versions []log.Offset
	for ok := c.it.First(); ok; ok = c.it.Next() {
		v, err := keys.Version(c.it.Key())
		if err != nil {
			return nil, nil, err
		}
		if v <= c.b.asOf {
			versions = append(versions, v)
		}
	}
	slices.Sort(versions)
	return cat, slices.Compact(versions), c.it.Error()
}

// catalogHistory finds the catalog of any offset. The newest is always in
// memory, of the older ones the last few that were asked for.
type catalogHistory struct {
	mu       sync.Mutex
	versions []catalogVersion // ascending; the first is at 0, before any change
	recent   []int            // of versions, those in memory beside the newest; the latest used last
}

// oldCatalogsMax is how many catalogs beside the newest are kept in memory.
const oldCatalogsMax = 8

func (h *catalogHistory) reset(newest *catalog.Catalog, versions []log.Offset) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.versions, h.recent = []catalogVersion{{}}, nil
	for _, v := range versions {
		h.versions = append(h.versions, catalogVersion{at: v})
	}
	h.versions[len(h.versions)-1].catalog = newest
}

// add appends the newest catalog; the one before becomes an old one.
func (h *catalogHistory) add(c catalogVersion) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.use(len(h.versions) - 1)
	h.versions = append(h.versions, c)
}

// use marks version i as just used, and forgets the catalog that was not used
// for longest.
func (h *catalogHistory) use(i int) {
	h.recent = append(slices.DeleteFunc(h.recent, func(x int) bool { return x == i }), i)
	if len(h.recent) > oldCatalogsMax {
		h.versions[h.recent[0]].catalog = nil
		h.recent = slices.Delete(h.recent, 0, 1)
	}
}

// at returns the catalog as of off.
func (h *catalogHistory) at(s *store, off log.Offset) (*catalog.Catalog, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, found := slices.BinarySearchFunc(h.versions, off, func(v catalogVersion, off log.Offset) int {
		switch {
		case v.at < off:
			return -1
		case v.at > off:
			return 1
		}
		return 0
	})
	if !found {
		i--
	}
	if h.versions[i].catalog == nil {
		c, _, err := loadCatalog(s, off)
		if err != nil {
			return nil, err
		}
		h.versions[i].catalog = c
	}
	if i < len(h.versions)-1 {
		h.use(i)
	}
	return h.versions[i].catalog, nil
}
