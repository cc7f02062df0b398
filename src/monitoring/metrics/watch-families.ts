// The metrics of what is watched and of who was told: probes, alerts, messages.
import { probeOutcomes } from '../../model/probe.ts';
import type { Family } from './exposition.ts';
import { gauge, type Labelled } from './gauge.ts';
import type { Measured } from './measured.ts';

export function watchFamilies({ probes, alerts, messages }: Measured): Family[] {
  const of = ({ state: { application, probe, component } }: (typeof probes)[number]) => ({
    application,
    probe,
    component: component ?? '',
  });
  return [
    gauge(
      'probe_outcome',
      'How the probe stands, by several looks: 1 for the outcome that it has, 0 for the others.',
      probes.flatMap((row) =>
        probeOutcomes.map((outcome): Labelled => [{ ...of(row), outcome }, Number(row.state.outcome === outcome)]),
      ),
    ),
    gauge(
      'probe_flapping',
      'Whether it goes up and down all the time.',
      probes.map((row) => [of(row), row.state.isFlapping]),
    ),
    gauge(
      'probe_latency_seconds',
      'How long the last look took.',
      probes.map((row) => [of(row), row.state.latencyMs / 1000]),
    ),
    gauge(
      'probe_seen_timestamp_seconds',
      'When it last looked.',
      probes.map((row) => [of(row), row.state.seenAtMs / 1000]),
    ),
    gauge(
      'probe_availability_last_day_ratio',
      'How much of the last 24 hours it was up or degraded, of the time in which somebody could look.',
      probes.map((row) => [of(row), row.lastDayPercent === undefined ? undefined : row.lastDayPercent / 100]),
    ),
    gauge(
      'probe_outages_last_month',
      'Outages of the last 30 days that are over.',
      probes.map((row) => [of(row), row.outages]),
    ),
    gauge(
      'probe_recovery_mean_seconds',
      'How long they took on average until it worked again: the mean time to recovery.',
      probes.map((row) => [of(row), row.meanRecoveryMs === undefined ? undefined : row.meanRecoveryMs / 1000]),
    ),
    gauge(
      'alerts_open',
      'Alerts that are open: firing or acknowledged.',
      alerts.map(({ application, severity, state, count }) => [{ application, severity, state }, count]),
    ),
    gauge(
      'alert_messages_last_day',
      'Messages of the last 24 hours, by outcome: waiting, accepted, refused, dropped.',
      messages.map(({ application, channel, outcome, count }) => [{ application, channel, outcome }, count]),
    ),
  ];
}
