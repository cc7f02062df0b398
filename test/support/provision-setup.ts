// Runs once before all tests, and cleans up behind them.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { templatesVariable } from './cluster-templates.ts';
import { installTools } from './tools.ts';

export default function setup(): () => void {
  installTools();
  const templates = mkdtempSync(join(tmpdir(), 'lifeboat-templates-'));
  chmodSync(templates, 0o755); // Servers of another account read theirs.
  process.env[templatesVariable] = templates;
  return () => rmSync(templates, { recursive: true, force: true });
}
