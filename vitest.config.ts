import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: ['test/support/provision-setup.ts'],
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Two cores are the smallest machine: with its default of one worker less, files would run one after another.
    maxWorkers: 2,
    unstubEnvs: true,
    projects: [
      // A process and its modules serve many small files: nothing of ours is global, and starting anew took a third of their time.
      { extends: true, test: { name: 'units', include: ['src/**/*.test.ts'], isolate: false } },
      { extends: true, test: { name: 'scenes', include: ['test/**/*.test.ts'] } },
    ],
  },
});
