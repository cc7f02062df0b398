// Runs once before all tests.
import { installTools } from './tools.ts';

export default function setup(): void {
  installTools();
}
