// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "kvm_search.h"

/* Where (@addr, @len) lies: below @range (-1), above it (1), or on it (0). */
static int compare(uint64_t addr, unsigned int len, const struct doorbell *range)
{
	if (addr < range->addr)
		return -1;
	if (range->len)
		return addr + len > range->addr + range->len;
	return addr > range->addr;
}

/* A new range goes before the first that lies above it. */
void kvm_search_insert(struct kvm_search *s, const struct doorbell *bell)
{
	unsigned int i = 0;

	while (i < s->n && compare(s->range[i]->addr, s->range[i]->len, bell) <= 0)
		i++;
	memmove(s->range + i + 1, s->range + i, (s->n - i) * sizeof(*s->range));
	s->range[i] = bell;
	s->n++;
}

void kvm_search_remove(struct kvm_search *s, const struct doorbell *bell)
{
	unsigned int i = 0;

	while (s->range[i] != bell)
		i++;
	s->n--;
	memmove(s->range + i, s->range + i + 1, (s->n - i) * sizeof(*s->range));
}

/* Any range that the write is on, by halving; s->n if none is found. */
static unsigned int find_any(const struct kvm_search *s, uint64_t addr, unsigned int len)
{
	unsigned int first = 0, n = s->n;

	while (n) {
		unsigned int middle = first + n / 2;
		int where = compare(addr, len, s->range[middle]);

		if (!where)
			return middle;
		if (where > 0) {
			n -= n / 2 + 1;
			first = middle + 1;
		} else {
			n /= 2;
		}
	}
	return s->n;
}

/* Then back to the first of an unbroken row of such, and forth to one that rings. */
const struct doorbell *kvm_search_hit(const struct kvm_search *s, uint64_t addr,
				      unsigned int len, uint64_t value)
{
	unsigned int i = find_any(s, addr, len);

	if (i == s->n)
		return NULL;
	while (i && !compare(addr, len, s->range[i - 1]))
		i--;
	for (; i < s->n && !compare(addr, len, s->range[i]); i++)
		if (doorbell_rings(s->range[i], addr, len, value))
			return s->range[i];
	return NULL;
}
