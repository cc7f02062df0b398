// The alert rules and the dashboard that the documentation brings use metrics that are there, with labels that these have.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { exposition } from '../src/monitoring/metrics/exposition.ts';
import { familiesOf } from '../src/monitoring/metrics/families.ts';
import type { Measured } from '../src/monitoring/metrics/measured.ts';

const component = { application: 'shop', component: 'database' };
const counts = { application: 'shop', kind: 'backup', count: 3, workedMs: 6000, oldestCreatedAtMs: 1000 };
/** One of everything. */
const measured: Measured = {
  nowMs: 10_000,
  standings: [
    {
      ...component,
      standing: 'protected',
      reason: '',
      hint: undefined,
      ageMs: 2000,
      rpoMs: 60_000,
      rtoMs: 300_000,
      restoreMs: 5000,
      restoreAtMs: 1,
      restoreLowMs: 4000,
      restoreHighMs: 9000,
      sinceMs: 1000,
      seenAtMs: 9000,
    },
  ],
  proofs: [{ ...component, outcome: 'passed', message: '', atMs: 500 }],
  repositories: [
    { application: 'shop', repository: 'local', snapshots: 3, storedBytes: 77, problem: null, seenAtMs: 9000 },
  ],
  open: [{ ...counts, state: 'queued' }],
  ended: [{ ...counts, state: 'succeeded' }],
  schedules: [
    {
      id: 'shop/backup/database',
      application: 'shop',
      job: 'backup/database',
      spec: '',
      pausedAtMs: null,
      pausedUntilMs: null,
      firedUpToMs: 1000,
      firedAtMs: 1500,
    },
  ],
  probes: [
    {
      state: {
        application: 'shop',
        probe: 'front',
        component: null,
        outcome: 'up',
        isFlapping: 0,
        message: '',
        hint: null,
        latencyMs: 12,
        facts: '[]',
        sinceMs: 1000,
        seenAtMs: 9000,
        recent: '["up"]',
      },
      percent: 100,
      unknownPercent: 0,
      looks: 10,
      lastDayPercent: 99.5,
      latency95Ms: 20,
      outages: 1,
      meanRecoveryMs: 60_000,
    },
  ],
  alerts: [{ application: 'shop', severity: 'critical', state: 'firing', count: 1 }],
  messages: [{ application: 'shop', channel: 'mail', outcome: 'refused', count: 2 }],
  workers: [],
};
const sampleOfProcess = {
  residentBytes: 1,
  heapUsedBytes: 1,
  cpuSeconds: 1,
  startedAtMs: 1,
  eventLoopP99Ms: 1,
  eventLoopMaxMs: 1,
};
const families = familiesOf(measured, { version: '1.2.3', process: sampleOfProcess });
const labelsOf = new Map(
  families.map(({ name, samples }) => [name, new Set(samples.flatMap(({ labels }) => Object.keys(labels)))]),
);

const rules = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({ alert: z.string(), expr: z.string(), annotations: z.object({ summary: z.string() }) }),
        ),
      }),
    ),
  })
  .parse(parse(readFileSync('docs/monitoring/prometheus-rules.yaml', 'utf8')))
  .groups.flatMap((group) => group.rules);
const dashboard = z
  .object({ panels: z.array(z.object({ targets: z.array(z.object({ expr: z.string() })) })) })
  .parse(JSON.parse(readFileSync('docs/monitoring/grafana-dashboard.json', 'utf8')));
const expressions = [
  ...rules.map(({ expr }) => expr),
  ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
];

test('every metric and label that a rule or a panel uses is there', () => {
  expect(expressions.length).toBeGreaterThan(20);
  const unknown = expressions.flatMap((text) =>
    [...text.matchAll(/\b(lifeboat_\w+)(?:\{([^}]*)\})?/g)].flatMap(([, name = '', matchers = '']) => {
      const known = labelsOf.get(name);
      if (known === undefined) return [name];
      return [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)]
        .map(([, label = '']) => label)
        .filter((label) => !known.has(label))
        .map((label) => `${name}{${label}}`);
    }),
  );
  expect(unknown).toEqual([]);
});

test('what a rule says of its labels, its metric has', () => {
  for (const { alert, expr, annotations } of rules) {
    const [name = ''] = /lifeboat_\w+/.exec(expr) ?? [];
    const known = labelsOf.get(name) ?? new Set<string>();
    const said = [...annotations.summary.matchAll(/\$labels\.(\w+)/g)].map(([, label = '']) => label);
    expect([alert, said.filter((label) => !known.has(label))]).toEqual([alert, []]);
  }
});

test('every metric is on the page that explains them', () => {
  const page = readFileSync('docs/metrics.md', 'utf8');
  const isNamed = (name: string): boolean => page.includes(`\`${name.replace('lifeboat_', '')}\``);
  expect([...labelsOf.keys()].filter((name) => !isNamed(name))).toEqual([]);
});

test('names and labels are written as Prometheus reads them', () => {
  const odd = { name: 'lifeboat_x', help: 'a\\b\nc', type: 'gauge' as const };
  const labels = { path: 'C:\\new "x"\ny' };
  const nothing = { ...odd, name: 'lifeboat_y', samples: [] };
  expect(exposition([{ ...odd, samples: [{ labels, value: Number.POSITIVE_INFINITY }] }, nothing])).toBe(
    '# HELP lifeboat_x a\\\\b\\nc\n# TYPE lifeboat_x gauge\nlifeboat_x{path="C:\\\\new \\"x\\"\\ny"} +Inf\n',
  );
  const text = exposition(families);
  for (const line of text.trimEnd().split('\n')) {
    expect(line).toMatch(/^(?:# (?:HELP|TYPE) lifeboat_[a-z_0-9]+ .+|lifeboat_[a-z_0-9]+(?:\{[^\n]*\})? -?[\d.e+-]+)$/);
  }
  expect(text).toContain('lifeboat_component_rpo_age_seconds{application="shop",component="database"} 3\n');
  expect(text).toContain('lifeboat_schedule_lateness_seconds{application="shop",job="backup/database"} 0.5\n');
});
