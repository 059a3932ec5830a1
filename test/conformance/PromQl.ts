/**
 * What a PromQL query asks for, by Prometheus' own grammar (that of its web interface): a regular
 * expression would take a label for a metric, and a misspelt function for either.
 */
import { parser } from "@prometheus-io/lezer-promql"

export interface Asked {
  readonly metric: string
  /** Labels that are matched on this metric. */
  readonly matched: ReadonlyArray<string>
}

export interface Query {
  readonly asked: ReadonlyArray<Asked>
  /** Labels that results are grouped or joined by. */
  readonly grouped: ReadonlyArray<string>
}

/** Throws at the first thing that is no PromQL. */
export const parseQuery = (text: string): Query => {
  const asked: Array<{ metric: string; matched: Array<string> }> = []
  const grouped: Array<string> = []
  let inGrouping = false
  parser.parse(text).iterate({
    enter: ({ name, from, to, type }) => {
      const word = text.slice(from, to)
      if (type.isError) throw new Error(`no PromQL at ${from} (${word || "end"}): ${text}`)
      if (name === "VectorSelector") asked.push({ metric: "", matched: [] })
      if (name === "GroupingLabels") inGrouping = true
      const last = asked.at(-1)
      if (name === "Identifier" && last !== undefined) last.metric = word
      if (name === "LabelName") {
        if (inGrouping) grouped.push(word)
        else last?.matched.push(word)
      }
    },
    leave: ({ name }) => {
      if (name === "GroupingLabels") inGrouping = false
    }
  })
  return { asked, grouped }
}
