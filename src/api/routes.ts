// All routes, in the order of their description. What is not here is not there.
import { alertRoutes } from './resources/alerts.ts';
import { auditRoutes } from './resources/audit.ts';
import { documentationRoutes } from './resources/documentation.ts';
import { healthRoutes } from './resources/health.ts';
import { probeRoutes } from './resources/probes.ts';
import { runRoutes } from './resources/runs.ts';
import { sessionRoutes } from './resources/sessions.ts';
import { tokenRoutes } from './resources/tokens.ts';
import { userRoutes } from './resources/users.ts';
import type { AnyRoute } from './route.ts';

export const routes: readonly AnyRoute[] = [
  ...healthRoutes,
  ...sessionRoutes,
  ...runRoutes,
  ...alertRoutes,
  ...probeRoutes,
  ...tokenRoutes,
  ...userRoutes,
  ...auditRoutes,
  ...documentationRoutes,
];
