/** A value and where a person wrote it: what every error of a file points at. */
export interface Located<T> {
  readonly value: T
  /** `file:line` or `file:line:column`. */
  readonly where: string
}

export const located = <T>(value: T, where: string): Located<T> => ({ value, where })
