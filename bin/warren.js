#!/usr/bin/env node
// The command, compiled from src/cli/main.ts. A file of its own because a compiler's output carries no executable bit.
import '../dist/src/cli/main.js'
