// All routes, in the order of their description. What is not here is not there.
import { alertRoutes } from './resources/alerts.ts';
import { anomalyRoutes } from './resources/anomalies.ts';
import { applicationRoutes } from './resources/applications.ts';
import { auditRoutes } from './resources/audit.ts';
import { documentationRoutes } from './resources/documentation.ts';
import { healthRoutes } from './resources/health.ts';
import { metricsRoutes } from './resources/metrics.ts';
import { policyRoutes } from './resources/policies.ts';
import { probeRoutes } from './resources/probes.ts';
import { repositoryRoutes } from './resources/repositories.ts';
import { runRoutes } from './resources/runs.ts';
import { scheduleRoutes } from './resources/schedules.ts';
import { sessionRoutes } from './resources/sessions.ts';
import { systemBackupRoutes } from './resources/system-backup.ts';
import { tokenRoutes } from './resources/tokens.ts';
import { userRoutes } from './resources/users.ts';
import { workerRoutes } from './resources/workers.ts';
import type { AnyRoute } from './route.ts';

export const routes: readonly AnyRoute[] = [
  ...healthRoutes,
  ...metricsRoutes,
  ...systemBackupRoutes,
  ...sessionRoutes,
  ...applicationRoutes,
  ...repositoryRoutes,
  ...policyRoutes,
  ...scheduleRoutes,
  ...runRoutes,
  ...alertRoutes,
  ...anomalyRoutes,
  ...probeRoutes,
  ...workerRoutes,
  ...tokenRoutes,
  ...userRoutes,
  ...auditRoutes,
  ...documentationRoutes,
];
