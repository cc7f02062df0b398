// What becomes of alerts, told as a story: each look is given what is wrong, and the next one what was kept of it.
import assert from 'node:assert/strict';
import { expect, test } from 'vitest';
import type { AlertDeliveryRow } from '../../catalog/alert-deliveries.ts';
import type { AlertRow } from '../../catalog/alerts.ts';
import { alertsSchema, type AlertSettings } from '../../model/alert-settings.ts';
import type { Condition } from './condition.ts';
import { closingMessages, planAlerts } from './plan.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const channels = {
  chat: { type: 'slack', url: 'https://hooks.example.com/chat' },
  push: { type: 'ntfy', topic: 'secret' },
  mail: { type: 'email', host: 'smtp.example.com', from: 'lifeboat@example.com' },
};
const contacts = {
  anna: { reach: [{ channel: 'mail', to: 'anna@example.com' }, { channel: 'push' }] },
  ben: { reach: [{ channel: 'mail', to: 'ben@example.com' }] },
};
const settingsOf = (more: object = {}): AlertSettings => alertsSchema.parse({ channels, contacts, ...more });

const breach: Condition = {
  subject: 'standing/database',
  kind: 'standing',
  component: 'database',
  severity: 'warning',
  title: 'At risk',
  facts: [{ name: 'Why', value: 'the last backup failed' }],
  hint: 'Mend it.',
  command: 'lifeboat status',
  holdMs: 0,
};
const down: Condition = { ...breach, subject: 'probe/site', kind: 'probe', severity: 'critical', title: 'Down' };

/** Keeps what the catalog would keep. */
class Story {
  nowMs = Date.parse('2026-11-28T12:00:00Z');
  isQuiet = false;
  alerts: AlertRow[] = [];
  deliveries: AlertDeliveryRow[] = [];
  readonly settings: AlertSettings;
  #ids = 0;

  constructor(settings: AlertSettings = settingsOf()) {
    this.settings = settings;
  }

  /** Returns whom it tells: channel, address and what. */
  look(conditions: readonly Condition[], afterMs = 0): string[] {
    this.nowMs += afterMs;
    const open = this.alerts.filter(({ openKey }) => openKey !== null);
    const plan = planAlerts({
      application: 'shop',
      nowMs: this.nowMs,
      conditions,
      alerts: open,
      deliveries: this.deliveries.filter(({ alertId }) => open.some(({ id }) => id === alertId)),
      settings: this.settings,
      isQuiet: () => this.isQuiet,
      newId: () => this.#newId(),
    });
    const gone = new Set([...plan.removed, ...plan.saved.map(({ id }) => id)]);
    this.alerts = [...this.alerts.filter(({ id }) => !gone.has(id)), ...plan.saved];
    this.deliveries = this.deliveries.map((row) =>
      plan.dropped.includes(row.id) ? { ...row, outcome: 'dropped' } : row,
    );
    for (const { otherWays, ...told } of plan.told) {
      this.deliveries.push({
        ...told,
        id: this.#newId(),
        otherWays: JSON.stringify(otherWays),
        attempts: 0,
        outcome: 'waiting',
        reason: null,
        hint: null,
        receiverId: null,
        createdAtMs: this.nowMs,
        endedAtMs: null,
      });
    }
    return plan.told.map(({ channel, address, state }) => [channel, address, state].filter(Boolean).join(' '));
  }

  /** How all that waits ends. */
  end(outcome: 'accepted' | 'refused'): void {
    this.deliveries = this.deliveries.map((row) => (row.outcome === 'waiting' ? { ...row, outcome } : row));
  }

  change(change: Partial<AlertRow>): void {
    this.alerts = this.alerts.map((alert) => (alert.openKey === null ? alert : { ...alert, ...change }));
  }

  get states(): string[] {
    return this.alerts.map(({ subject, state }) => `${subject} ${state}`);
  }

  #newId(): string {
    this.#ids += 1;
    return String(this.#ids).padStart(4, '0');
  }
}

test('without rules everybody is told once: contacts by their best way, channels of their own', () => {
  const story = new Story();
  expect(story.look([breach])).toEqual(['chat firing', 'mail anna@example.com firing', 'mail ben@example.com firing']);
  expect(story.look([breach], minuteMs)).toEqual([]);
  expect(story.states).toEqual(['standing/database firing']);
});

test('what passes before its time tells nobody, and what lasts is told when its time is over', () => {
  const story = new Story();
  const slow = { ...breach, holdMs: 5 * minuteMs };
  expect(story.look([slow])).toEqual([]);
  expect(story.look([], minuteMs)).toEqual([]);
  expect(story.alerts).toEqual([]);
  expect(story.look([slow], minuteMs)).toEqual([]);
  expect(story.look([slow], 4 * minuteMs)).toEqual([]);
  expect(story.look([slow], minuteMs)).toHaveLength(3);
});

test('a resolved alert is told to those who heard of it, and to nobody else', () => {
  const story = new Story();
  story.look([breach]);
  story.deliveries = story.deliveries.map((row, at) => ({ ...row, outcome: at === 0 ? 'accepted' : 'waiting' }));
  expect(story.look([], minuteMs)).toEqual(['chat resolved']);
  expect(story.deliveries.map(({ state, outcome }) => `${state} ${outcome}`)).toEqual([
    'firing accepted',
    'firing dropped',
    'firing dropped',
    'resolved waiting',
  ]);
  expect(story.states).toEqual(['standing/database resolved']);
  // Wrong again: another alert.
  expect(story.look([breach], minuteMs)).toHaveLength(3);
  expect(story.states).toEqual(['standing/database resolved', 'standing/database firing']);
});

const escalations = {
  night: [
    { channels: ['chat'] },
    { after: '10m', contacts: ['anna'] },
    { after: '30m', contacts: ['ben'], during: [{ window: '20:00-22:00', timeZone: 'UTC' }] },
  ],
};
const byNight = { escalations, rules: [{ escalation: 'night', repeat: '2h' }] };

test('nobody acknowledges: the next ones are told in their time and their hours, and all of them again', () => {
  const story = new Story(settingsOf(byNight));
  expect(story.look([breach])).toEqual(['chat firing']);
  story.end('accepted');
  expect(story.look([breach], 9 * minuteMs)).toEqual([]);
  expect(story.look([breach], minuteMs)).toEqual(['mail anna@example.com firing']);
  story.end('accepted');
  expect(story.look([breach], 2 * hourMs)).toEqual(['chat firing', 'mail anna@example.com firing']);
  story.end('accepted');
  story.nowMs = Date.parse('2026-11-28T15:00:00Z');
  expect(story.look([breach])).toEqual([]);
  story.nowMs = Date.parse('2026-11-28T20:00:00Z');
  expect(story.look([breach])).toEqual(['mail ben@example.com firing']);
  story.end('accepted');
  // Late in the night Ben is left alone.
  expect(story.look([breach], 3 * hourMs)).toEqual(['chat firing', 'mail anna@example.com firing']);
});

test('a step whose hours are not holds up none behind it, and comes when it may', () => {
  const day = [
    { contacts: ['ben'], during: [{ window: '08:00-18:00' }] },
    { after: '10m', channels: ['chat'] },
  ];
  const story = new Story(settingsOf({ escalations: { day }, rules: [{ escalation: 'day', repeat: '2h' }] }));
  story.nowMs = Date.parse('2026-11-28T20:00:00Z');
  expect(story.look([breach])).toEqual([]);
  expect(story.look([breach], 10 * minuteMs)).toEqual(['chat firing']);
  story.end('accepted');
  story.nowMs = Date.parse('2026-11-29T08:30:00Z');
  expect(story.look([breach])).toEqual(['mail ben@example.com firing', 'chat firing']);
});

test('who acknowledges is told no more, until it gets worse', () => {
  const story = new Story(settingsOf(byNight));
  story.look([breach]);
  story.end('accepted');
  story.change({ state: 'acknowledged', acknowledgedAtMs: story.nowMs, byPerson: 'anna' });
  expect(story.look([breach], 24 * hourMs)).toEqual([]);
  expect(story.look([{ ...breach, severity: 'critical', title: 'RPO breached' }], minuteMs)).toEqual(['chat firing']);
  expect(story.alerts[0]).toMatchObject({ state: 'firing', byPerson: null, acknowledgedAtMs: null });
  // Better is not worse.
  story.end('accepted');
  story.change({ state: 'acknowledged' });
  expect(story.look([breach], minuteMs)).toEqual([]);
});

test('what a person called done stays quiet while it lasts, and begins anew afterwards', () => {
  const story = new Story();
  story.look([breach]);
  story.end('accepted');
  story.change({ state: 'resolved', resolvedAtMs: story.nowMs, byPerson: 'anna' });
  expect(story.look([breach], 24 * hourMs)).toEqual([]);
  expect(story.look([], minuteMs)).toEqual([]);
  expect(story.alerts[0]).toMatchObject({ state: 'resolved', byPerson: 'anna', openKey: null });
  expect(story.look([breach], minuteMs)).toHaveLength(3);
});

test('if nobody could be reached the next step is taken at once, one at a time', () => {
  const story = new Story(settingsOf(byNight));
  story.look([breach]);
  story.end('refused');
  expect(story.look([breach], 5000)).toEqual(['mail anna@example.com firing']);
  expect(story.look([breach], 5000)).toEqual([]);
  story.end('refused');
  // Ben's hours are not yet.
  expect(story.look([breach], 5000)).toEqual([]);
});

test('silence tells nobody, and the escalation begins when it ends', () => {
  const story = new Story(settingsOf(byNight));
  story.isQuiet = true;
  expect(story.look([breach])).toEqual([]);
  expect(story.look([breach], hourMs)).toEqual([]);
  expect(story.states).toEqual(['standing/database firing']);
  story.isQuiet = false;
  expect(story.look([breach], minuteMs)).toEqual(['chat firing']);
  expect(story.look([breach], 5 * minuteMs)).toEqual([]);
});

test('the first rule that fits counts: severity, kind, component, silence', () => {
  const rules = [
    { components: ['cache'], silent: true },
    { severity: 'critical', kinds: ['probe'], channels: ['push'], for: '2m' },
    { severity: 'info', channels: ['chat'] },
  ];
  const story = new Story(settingsOf({ rules }));
  expect(story.look([{ ...breach, component: 'cache' }])).toEqual([]);
  expect(story.look([down])).toEqual([]);
  expect(story.look([down], 2 * minuteMs)).toEqual(['push firing']);
  story.end('accepted');
  // What is milder may be the affair of others.
  expect(story.look([{ ...down, severity: 'warning' }, breach], 0)).toEqual([
    'push resolved',
    'chat firing',
    'chat firing',
  ]);
});

test('an alert about a dead channel does not go through it', () => {
  const story = new Story();
  const dead: Condition = { ...breach, subject: 'channel/mail', kind: 'channel', component: undefined };
  expect(story.look([dead])).toEqual(['chat firing', 'push firing']);
});

test('that somebody takes care of it is told once to each who heard of it', () => {
  const story = new Story();
  story.look([breach]);
  story.end('accepted');
  story.look([breach], 24 * hourMs);
  story.end('accepted');
  const [alert] = story.alerts;
  assert.ok(alert !== undefined);
  const closing = closingMessages(story, { alert, state: 'acknowledged' });
  expect(closing.map(({ channel, address, state }) => `${channel} ${address} ${state}`)).toEqual([
    'chat null acknowledged',
    'mail anna@example.com acknowledged',
    'mail ben@example.com acknowledged',
  ]);
});

const failed: Condition = { ...breach, subject: 'job/verification/local', kind: 'job', component: undefined };
const caused: Condition = { ...breach, cause: failed.subject };
const standingIn = (story: Story) => story.alerts.findLast(({ subject }) => subject === caused.subject);

test('of two with one cause one is told, both are listed, and what outlives its cause is told then', () => {
  const story = new Story();
  const first = story.look([failed, caused]);
  expect(first).toEqual(new Story().look([failed]));
  expect(standingIn(story)).toMatchObject({ state: 'firing', stepsTaken: 0 });
  expect(standingIn(story)?.facts).toContain('"Told as","value":"job/verification/local"');
  expect(story.look([failed, caused], hourMs)).toEqual([]);
  const later = story.look([caused], hourMs).filter((line) => line.includes(' firing'));
  expect(later).toEqual(first);
  expect(standingIn(story)?.facts).not.toContain('Told as');
});

test('what has a cause is told to whoever does not hear of the cause', () => {
  const rules = [{ kinds: ['job'], contacts: ['anna'] }, { contacts: ['ben'] }];
  const told = new Story(settingsOf({ rules })).look([failed, caused]);
  expect(told.map((line) => line.split(' ')[1])).toEqual(['anna@example.com', 'ben@example.com']);
  const silent = [{ kinds: ['job'], silent: true }, { contacts: ['ben'] }];
  expect(new Story(settingsOf({ rules: silent })).look([failed, caused])).toHaveLength(1);
});
