/** What a run found, as it is written to a file and compared with a later one. */
import { Either, Schema } from "effect"
import { explainInLine } from "../src/schema/ExplainIssue.ts"

/** One thing that is measured in each round. */
export const Measure = Schema.Struct({
  key: Schema.NonEmptyString,
  /** The column's head, with the unit. */
  label: Schema.NonEmptyString,
  digits: Schema.Int.pipe(Schema.between(0, 6)),
  better: Schema.Literal("lower", "higher"),
  /**
   * Whether getting worse is a regression: false of what the machine's load decides. A number is
   * the share below which no difference counts, however small the spread.
   */
  judged: Schema.Union(Schema.Literal(false), Schema.Positive)
})
export type Measure = typeof Measure.Type

/** One way of doing one case: a figure per round under each measure's key. */
export const Row = Schema.Struct({
  case: Schema.NonEmptyString,
  peer: Schema.NonEmptyString,
  rounds: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.Finite) }),
  /** Failed requests in all rounds: figures beside them mean little, and the table marks them. */
  errors: Schema.NonNegativeInt,
  /**
   * The row of the same case, by its peer, that this one is divided by too: the same program with
   * fewer threads, or without what is asked about.
   */
  over: Schema.optionalWith(Schema.NonEmptyString, { exact: true })
})
export type Row = typeof Row.Type

/** `skein`, or one of several ways of running it: `skein, 2 threads`. */
export const isSkein = ({ peer }: Pick<Row, "peer">): boolean =>
  peer === "skein" || peer.startsWith("skein, ")

export const Result = Schema.Struct({
  question: Schema.NonEmptyString,
  /** RFC 3339, UTC. */
  at: Schema.NonEmptyString,
  /** `git describe` of the code that was measured. */
  code: Schema.String,
  runtime: Schema.String,
  processor: Schema.String,
  /** How it was measured, for people. */
  method: Schema.String,
  /** The row of the same case that others are divided by. Absent: figures stand for themselves. */
  reference: Schema.optionalWith(Schema.NonEmptyString, { exact: true }),
  measures: Schema.Array(Measure),
  rows: Schema.Array(Row),
  /** Peers that were wanted and could not be had. */
  absent: Schema.Array(Schema.Struct({ peer: Schema.String, why: Schema.String }))
})
export type Result = typeof Result.Type

/** Room for the figures of a measure, one a round. */
export const figures = (): Array<number> => []

/** A kept run or baseline: the latest result of each question. */
export const ResultFile = Schema.Struct({
  format: Schema.Literal(1),
  results: Schema.Array(Result)
})
export type ResultFile = typeof ResultFile.Type

const Text = Schema.parseJson(ResultFile, { space: 2 })

export class NoResults extends Error {}

const decode = Schema.decodeEither(Text)

/** Throws NoResults, with what is wrong, when the text is not such a file. */
export const decodeResults = (text: string): ResultFile =>
  Either.getOrThrowWith(decode(text), ({ issue }) => new NoResults(explainInLine(issue)))
export const encodeResults: (file: ResultFile) => string = Schema.encodeSync(Text)

/** The file with this question's result replaced or added. */
export const withResult = (file: ResultFile | undefined, result: Result): ResultFile => ({
  format: 1,
  results: [
    ...(file?.results ?? []).filter(({ question }) => question !== result.question),
    result
  ].sort((a, b) => a.question.localeCompare(b.question))
})

export const findRow = (result: Result, name: string, peer: string): Row | undefined =>
  result.rows.find((row) => row.case === name && row.peer === peer)
