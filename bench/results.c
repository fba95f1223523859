// SPDX-License-Identifier: GPL-2.0-only
/*
 * Figures: what they are made of, and what becomes of them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define MAX_FIGURES 1024
#define MAX_SAMPLES 256

struct figure {
	char name[32];
	char kvm_name[32]; /* of KVM's figure to compare with */
	unsigned int n;
	const struct backend *backend;
	const char *unit;
	double samples[MAX_SAMPLES];
	unsigned int nr_samples;
};

/* Not a static array: the guests would have it. */
static struct figure *figures;
static unsigned int nr_figures;

static struct figure *find(const char *name, unsigned int n, const char *backend,
			   const char *unit)
{
	unsigned int i;

	for (i = 0; i < nr_figures; i++) {
		struct figure *f = &figures[i];

		if (!strcmp(f->name, name) && f->n == n && !strcmp(f->unit, unit) &&
		    !strcmp(f->backend->name, backend))
			return f;
	}

	return NULL;
}

void record(const char *what, const char *unit, double value)
{
	char name[sizeof(figures->name)];
	struct figure *f;

	if (current.unrecorded)
		return;
	require(snprintf(name, sizeof(name), "%s-%s", what, current.c->name) < sizeof(name),
		"too long a name");
	f = find(name, current.n, current.backend->name, unit);
	if (!f) {
		if (!figures)
			figures = calloc(MAX_FIGURES, sizeof(*figures));
		require(figures, "out of memory");
		require(nr_figures < MAX_FIGURES, "too many figures");
		f = &figures[nr_figures++];
		strcpy(f->name, name);
		snprintf(f->kvm_name, sizeof(f->kvm_name), "%s-%s", what,
			 single_of(current.c, current.n)->name);
		f->n = current.n;
		f->backend = current.backend;
		f->unit = unit;
		f->nr_samples = 0;
	}

	require(f->nr_samples < MAX_SAMPLES, "too many samples of %s", name);
	f->samples[f->nr_samples++] = value;
}

void record_stretch(const char *what, const struct stretch *s)
{
	record(what, "insn", s->caller / current.n);
	record(what, "insn-all", (s->caller + s->others) / current.n);
	record(what, "us", s->us / current.n);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void sort_values(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
}

/*
 * The mean of what is within 4 % of the median.  What is farther off is an outlier, even
 * where a third are: in some rounds one removal in three takes 3,100 instructions more.
 * What is nearer counts, samples in two sizes as they are shared out, of which the median
 * would be the one in this run and the other in the next.
 */
static double usual(const struct figure *f)
{
	double sum = 0, middle = f->samples[f->nr_samples / 2];
	unsigned int i, nr = 0;

	for (i = 0; i < f->nr_samples; i++) {
		if (fabs(f->samples[i] - middle) > fabs(middle) / 25)
			continue;
		sum += f->samples[i];
		nr++;
	}

	return sum / nr;
}

static double median(const struct figure *f)
{
	unsigned int half = f->nr_samples / 2;

	return f->nr_samples % 2 ? f->samples[half]
				 : (f->samples[half - 1] + f->samples[half]) / 2;
}

static FILE *create_file(const char *path)
{
	FILE *f = fopen(path, "w");

	require(f, "cannot create %s", path);
	return f;
}

static void close_file(FILE *f, const char *path)
{
	bool bad = ferror(f);

	require(!fclose(f) && !bad, "cannot write %s", path);
}

void results_begin_round(int round, int rounds)
{
	printf("round %d of %d\n", round + 1, rounds);
	fflush(stdout);
	if (round == 1)
		nr_figures = 0;
}

static void put_line(FILE *c, const char *mode, const char *name, const struct figure *f,
		     double value, double kvm)
{
	fprintf(c, "%s,%s,%u,%s,%.1f,%s,", mode, name, f->n, f->backend->name, value, f->unit);
	if (kvm > 0)
		fprintf(c, "%.3f", value / kvm);
	fprintf(c, "\n");
}

void results_write(const char *mode, const char *csv, const char *spread)
{
	double (*value)(const struct figure *f) = strcmp(mode, "wall") ? usual : median;
	FILE *c = create_file(csv), *s = create_file(spread);
	struct figure *f;

	for (f = figures; f < figures + nr_figures; f++)
		sort_values(f->samples, f->nr_samples);

	fprintf(c, "mode,case,n,backend,value,unit,ratio\n");
	for (f = figures; f < figures + nr_figures; f++) {
		const struct figure *kvm = find(f->kvm_name, f->n, "kvm", f->unit);
		double kvms = kvm ? value(kvm) : 0;

		if (kvm && strcmp(kvm->name, f->name))
			put_line(c, mode, f->name, kvm, kvms, kvms);
		put_line(c, mode, f->name, f, value(f), kvms);
		fprintf(s, "%s, n %u, %s: %.1f %s, %u samples from %.1f to %.1f\n", f->name,
			f->n, f->backend->name, value(f), f->unit, f->nr_samples,
			f->samples[0], f->samples[f->nr_samples - 1]);
	}

	close_file(c, csv);
	close_file(s, spread);
}
