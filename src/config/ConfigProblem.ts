/** What is wrong with a config: every problem, each with its place and what was expected there. */
import { Data } from "effect"
import { formatPath, type Problem } from "../model/Problem.ts"

/** 1-based, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

export interface PlacedProblem extends Problem {
  /** The file, or the environment variable or option that said it. */
  readonly source: string
  /** Absent where there is no text to point at: a TypeScript config, a variable. */
  readonly position: Position | undefined
}

/** `skein.yaml:12:5: policies.payments.retires: unknown key; did you mean retries?` */
export const formatProblem = ({ source, position, path, message }: PlacedProblem): string => {
  const place = position === undefined ? source : `${source}:${position.line}:${position.column}`
  const at = formatPath(path)
  return at === "" ? `${place}: ${message}` : `${place}: ${at}: ${message}`
}

/** The config, or whatever else was read as one is, cannot be used. `problems` is never empty; the message lists them all. */
export class ConfigError extends Data.TaggedError("ConfigError")<{
  /** `config_unreadable`: no such file, no right to read, not a known kind of file. */
  readonly code: "config_unreadable" | "config_syntax" | "config_invalid"
  readonly problems: ReadonlyArray<PlacedProblem>
  /** What cannot be used; default: the config. */
  readonly what?: string
}> {
  override get message(): string {
    return this.problems.map(formatProblem).join("\n")
  }
}
