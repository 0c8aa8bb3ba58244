/** How sysctl(8) reads a name: level by level, and what it says of one that leads nowhere. */

const LEVELS = ['top', 'second', 'third', 'fourth', 'fifth']

/** Either the variables that a name stands for (a leaf, or all below a node), or sysctl's complaint. */
export function findVariables<T extends { readonly name: string }>(
  tree: readonly T[],
  name: string,
): { readonly variables: readonly T[] } | { readonly error: string } {
  const found = tree.filter((variable) => variable.name === name || variable.name.startsWith(`${name}.`))
  if (found.length > 0) return { variables: found }
  const words = name.split('.')
  for (const [level, word] of words.entries()) {
    const prefix = words
      .slice(0, level)
      .map((above) => `${above}.`)
      .join('')
    const known = tree.filter((variable) => variable.name.startsWith(prefix))
    if (known.length === 0) break
    if (!known.some((variable) => variable.name.split('.')[level] === word))
      return { error: `${LEVELS[level] ?? 'next'} level name ${word} in ${name} is invalid` }
  }
  return { error: `${name}: specification is incomplete` }
}
