// SPDX-License-Identifier: GPL-2.0
/* I/O ports and memory-mapped I/O: from an address to the device behind it. */
#include "vmm.h"

void bus_add(struct bus *bus, struct bus_region *region)
{
	region->next = bus->regions;
	bus->regions = region;
}

void bus_remove(struct bus *bus, struct bus_region *region)
{
	struct bus_region **link = &bus->regions;

	while (*link != region)
		link = &(*link)->next;
	*link = region->next;
}

static struct bus_region *bus_find(struct bus *bus, uint64_t addr,
				   unsigned int len)
{
	struct bus_region *r;

	for (r = bus->regions; r; r = r->next)
		if (addr >= r->base && addr - r->base < r->len &&
		    r->len - (addr - r->base) >= len)
			return r;
	return NULL;
}

/* Where nobody answers, a PC reads all ones and loses writes. */
uint64_t bus_read(struct bus *bus, uint64_t addr, unsigned int len)
{
	struct bus_region *r = bus_find(bus, addr, len);

	return r ? r->read(r->dev, addr - r->base, len) : UINT64_MAX;
}

void bus_write(struct bus *bus, uint64_t addr, unsigned int len, uint64_t val)
{
	struct bus_region *r = bus_find(bus, addr, len);

	if (r)
		r->write(r->dev, addr - r->base, len, val);
}
