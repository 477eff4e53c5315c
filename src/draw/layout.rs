//! Where the boxes and lines of a layered drawing go: layers, dummies, crossing reduction, coordinates. Whole numbers, no
//! randomness: the same graph gives the same picture everywhere. Knows no text and no colour.
//!
//! The method and its sources stand in the documentation of the room. A line over several layers passes through one dummy
//! a layer, shared by all lines of its box: at most boxes × layers of them. A step that waits for nothing stands next to the
//! first that needs it.
//!
//! Lines bend only between layers and are parallel to the flow within one, at the place of their dummy: no line crosses a
//! box.

use std::collections::BTreeMap;

/// Sweeps over all layers for the order; each goes forth and back.
const SWEEPS: usize = 12;
/// Sweeps over all layers for the coordinates.
const FITS: usize = 16;

/// What is to be laid out: boxes by number, lines from an earlier to a later one.
#[derive(Clone, Debug, Default)]
pub(super) struct Net {
    /// Room that each box takes across the flow.
    pub(super) sizes: Vec<i64>,
    /// From, to; acyclic.
    pub(super) lines: Vec<(usize, usize)>,
    /// No box of this number or above stands in a layer of those below it (the `finally` steps).
    pub(super) tail: usize,
    /// Free room between neighbours, and beside a line.
    pub(super) gap: i64,
}

/// The drawing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    /// Layer of each box.
    pub(super) layer: Vec<usize>,
    /// Centre of each box across the flow, from 0.
    pub(super) at: Vec<i64>,
    /// How many layers there are.
    pub(super) layers: usize,
    /// Room across the flow in all.
    pub(super) extent: i64,
    /// Of each line, in the order of [`Net::lines`]: where it crosses each layer between its ends.
    pub(super) bends: Vec<Vec<i64>>,
}

/// Lays out.
pub(super) fn layout(net: &Net) -> Layout {
    let layer = layers(net);
    let mut work = Work::new(net, &layer);
    work.order();
    work.place(net);
    work.finish(net, layer)
}

/// The layer of each box.
fn layers(net: &Net) -> Vec<usize> {
    let count = net.sizes.len();
    let (mut before, mut after) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for &(from, to) in &net.lines {
        after[from].push(to);
        before[to].push(from);
    }
    let mut waits: Vec<usize> = before.iter().map(Vec::len).collect();
    let mut ready: Vec<usize> = (0..count).filter(|&node| waits[node] == 0).collect();
    let (mut layer, mut order) = (vec![0_usize; count], Vec::with_capacity(count));
    while let Some(node) = ready.pop() {
        order.push(node);
        for &next in &after[node] {
            layer[next] = layer[next].max(layer[node] + 1);
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(next);
            }
        }
    }
    let main = (0..net.tail.min(count)).map(|node| layer[node] + 1).max().unwrap_or(0);
    // Boxes of the tail come after all others, in layers of their own.
    for &node in &order {
        if node >= net.tail {
            let own = before[node].iter().map(|&earlier| layer[earlier] + 1).max().unwrap_or(0);
            layer[node] = own.max(main);
        }
    }
    for &node in order.iter().rev() {
        let first = after[node].iter().map(|&later| layer[later]).min();
        if let (true, Some(first)) = (before[node].is_empty() && node < net.tail, first) {
            let last = if first > main { main } else { first };
            layer[node] = layer[node].max(last.saturating_sub(1));
        }
    }
    layer
}

/// A box or a dummy in its layer.
#[derive(Clone, Copy, Debug)]
struct Cell {
    size: i64,
    dummy: bool,
}

struct Work {
    cells: Vec<Cell>,
    /// Cells of each layer, in order.
    rows: Vec<Vec<usize>>,
    /// Place of each cell in its row.
    place: Vec<usize>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    /// The dummy of a box in a later layer.
    chain: BTreeMap<(usize, usize), usize>,
    at: Vec<i64>,
}

impl Work {
    fn new(net: &Net, layer: &[usize]) -> Self {
        let layers = layer.iter().max().map_or(0, |last| last + 1);
        let mut cells: Vec<Cell> = net.sizes.iter().map(|&size| Cell { size, dummy: false }).collect();
        let mut rows = vec![Vec::new(); layers];
        for (node, &at) in layer.iter().enumerate() {
            rows[at].push(node);
        }
        let mut chain = BTreeMap::new();
        let mut edges = Vec::new();
        for &(from, to) in &net.lines {
            let mut last = from;
            let passed = rows.iter_mut().enumerate().take(layer[to]).skip(layer[from] + 1);
            for (at, row) in passed {
                let dummy = *chain.entry((from, at)).or_insert_with(|| {
                    cells.push(Cell { size: 0, dummy: true });
                    row.push(cells.len() - 1);
                    cells.len() - 1
                });
                edges.push((last, dummy));
                last = dummy;
            }
            edges.push((last, to));
        }
        edges.sort_unstable();
        edges.dedup();
        let (mut before, mut after) = (vec![Vec::new(); cells.len()], vec![Vec::new(); cells.len()]);
        for (from, to) in edges {
            after[from].push(to);
            before[to].push(from);
        }
        let (place, at) = (vec![0; cells.len()], vec![0; cells.len()]);
        let mut work = Self { cells, rows, place, before, after, chain, at };
        work.start();
        work
    }

    /// A first order: depth first from the sources, so that what belongs together begins together.
    fn start(&mut self) {
        let mut seen = vec![false; self.cells.len()];
        let mut rows = vec![Vec::new(); self.rows.len()];
        let mut row_of = vec![0; self.cells.len()];
        for (at, row) in self.rows.iter().enumerate() {
            row.iter().for_each(|&cell| row_of[cell] = at);
        }
        for root in self.rows.iter().flatten().copied().collect::<Vec<_>>() {
            let mut stack = vec![root];
            while let Some(cell) = stack.pop() {
                if std::mem::replace(&mut seen[cell], true) {
                    continue;
                }
                rows[row_of[cell]].push(cell);
                stack.extend(self.after[cell].iter().rev().filter(|next| !seen[**next]));
            }
        }
        self.rows = rows;
        self.number();
    }

    fn number(&mut self) {
        for row in &self.rows {
            row.iter().enumerate().for_each(|(place, &cell)| self.place[cell] = place);
        }
    }

    /// Looks for an order with few crossings.
    fn order(&mut self) {
        let (mut best, mut fewest) = (self.rows.clone(), self.crossings());
        let mut idle = 0;
        for _ in 0..SWEEPS {
            for at in 1..self.rows.len() {
                self.by_median(at, true);
            }
            for at in (0..self.rows.len().saturating_sub(1)).rev() {
                self.by_median(at, false);
            }
            self.exchange();
            let found = self.crossings();
            if found < fewest {
                (best, fewest, idle) = (self.rows.clone(), found, 0);
            } else {
                idle += 1;
            }
            if fewest == 0 || idle == 3 {
                break;
            }
        }
        self.rows = best;
        self.number();
    }

    fn by_median(&mut self, at: usize, down: bool) {
        let neighbours = if down { &self.before } else { &self.after };
        let mut row: Vec<(u64, usize, usize)> = Vec::with_capacity(self.rows[at].len());
        for (place, &cell) in self.rows[at].iter().enumerate() {
            let mut places: Vec<u64> = neighbours[cell].iter().map(|&other| self.place[other] as u64 * 2).collect();
            places.sort_unstable();
            let middle = places.len() / 2;
            let median = match places.len() {
                // Nothing pulls it: it stays about where it is.
                0 => {
                    let other = if down { at - 1 } else { at + 1 };
                    let scale = self.rows[other].len() as u64 * 2;
                    place as u64 * scale / self.rows[at].len().max(1) as u64
                }
                count if count % 2 == 1 => places[middle],
                _ => places[middle - 1].midpoint(places[middle]),
            };
            row.push((median, place, cell));
        }
        row.sort_unstable();
        self.rows[at] = row.into_iter().map(|(_, _, cell)| cell).collect();
        let row = &self.rows[at];
        row.iter().enumerate().for_each(|(place, &cell)| self.place[cell] = place);
    }

    /// Exchanges neighbours as long as that takes crossings away.
    fn exchange(&mut self) {
        for _ in 0..4 {
            let mut gained = false;
            for at in 0..self.rows.len() {
                for left in 0..self.rows[at].len().saturating_sub(1) {
                    let (a, b) = (self.rows[at][left], self.rows[at][left + 1]);
                    if self.between(b, a) < self.between(a, b) {
                        self.rows[at].swap(left, left + 1);
                        (self.place[a], self.place[b]) = (left + 1, left);
                        gained = true;
                    }
                }
            }
            if !gained {
                break;
            }
        }
    }

    /// Crossings of the lines of two neighbours, `a` before `b`.
    fn between(&self, a: usize, b: usize) -> usize {
        let count = |a: &[usize], b: &[usize]| {
            let mut places: Vec<usize> = b.iter().map(|&cell| self.place[cell]).collect();
            places.sort_unstable();
            a.iter().map(|&cell| places.partition_point(|&place| place < self.place[cell])).sum::<usize>()
        };
        count(&self.before[a], &self.before[b]) + count(&self.after[a], &self.after[b])
    }

    /// Crossings in all.
    fn crossings(&self) -> usize {
        let mut total = 0;
        for pair in self.rows.windows(2) {
            let mut tree = vec![0_usize; pair[1].len() + 1];
            let mut seen = 0;
            for &cell in &pair[0] {
                let mut ends: Vec<usize> = self.after[cell].iter().map(|&next| self.place[next]).collect();
                ends.sort_unstable();
                for &end in &ends {
                    total += seen - prefix(&tree, end + 1);
                }
                for end in ends {
                    add(&mut tree, end);
                    seen += 1;
                }
            }
        }
        total
    }

    /// Coordinates across the flow.
    fn place(&mut self, net: &Net) {
        for at in 0..self.rows.len() {
            let mut next = 0;
            for (index, &cell) in self.rows[at].clone().iter().enumerate() {
                if index > 0 {
                    next += self.distance(self.rows[at][index - 1], cell, net.gap);
                }
                self.at[cell] = next;
            }
        }
        for fit in 0..FITS {
            let down = fit % 2 == 0;
            let rows = 0..self.rows.len();
            let order: Vec<usize> = if down { rows.collect() } else { rows.rev().collect() };
            // The last ones look at both sides.
            let both = fit + 4 >= FITS;
            order.into_iter().for_each(|at| self.fit(at, down, both, net.gap));
        }
    }

    fn distance(&self, a: usize, b: usize, gap: i64) -> i64 {
        let (a, b) = (self.cells[a], self.cells[b]);
        // Two lines beside each other need less room than boxes.
        let gap = if a.dummy && b.dummy { gap / 2 } else { gap };
        (a.size + b.size) / 2 + gap.max(1)
    }

    /// Moves the cells of a layer to the weighted mean of their neighbours, as far as order and distances allow.
    fn fit(&mut self, at: usize, down: bool, both: bool, gap: i64) {
        let row = &self.rows[at];
        let mut shift = 0;
        // Sums of weight and of weighted place, and how many cells, of each block that moves as one.
        let mut blocks: Vec<(i64, i64, usize)> = Vec::with_capacity(row.len());
        let mut shifts = Vec::with_capacity(row.len());
        for (index, &cell) in row.iter().enumerate() {
            if index > 0 {
                shift += self.distance(row[index - 1], cell, gap);
            }
            shifts.push(shift);
            let (weight, wanted) = self.wanted(cell, down, both);
            blocks.push((weight, weight * (wanted - shift), 1));
            while let [.., (w1, s1, n1), (w2, s2, n2)] = blocks[..]
                && s1 * w2 > s2 * w1
            {
                blocks.truncate(blocks.len() - 2);
                blocks.push((w1 + w2, s1 + s2, n1 + n2));
            }
        }
        let places = blocks.iter().flat_map(|&(weight, sum, count)| std::iter::repeat_n(sum.div_euclid(weight), count));
        let places: Vec<i64> = places.zip(&shifts).map(|(place, shift)| place + shift).collect();
        for (cell, place) in self.rows[at].iter().zip(places) {
            self.at[*cell] = place;
        }
    }

    /// How strongly a cell is drawn where.
    fn wanted(&self, cell: usize, down: bool, both: bool) -> (i64, i64) {
        let mut weight = 0;
        let mut sum = 0;
        let mut pull = |others: &[usize]| {
            for &other in others {
                // Long lines should be straight.
                let w = match (self.cells[cell].dummy, self.cells[other].dummy) {
                    (true, true) => 16,
                    (true, false) | (false, true) => 4,
                    (false, false) => 2,
                };
                weight += w;
                sum += w * self.at[other];
            }
        };
        if down || both {
            pull(&self.before[cell]);
        }
        if !down || both {
            pull(&self.after[cell]);
        }
        if weight == 0 { (1, self.at[cell]) } else { (weight, sum.div_euclid(weight)) }
    }

    fn finish(self, net: &Net, layer: Vec<usize>) -> Layout {
        let low = |cell: usize| self.at[cell] - self.cells[cell].size / 2;
        let high = |cell: usize| self.at[cell] + (self.cells[cell].size + 1) / 2;
        let least = (0..self.cells.len()).map(low).min().unwrap_or(0);
        let most = (0..self.cells.len()).map(high).max().unwrap_or(0);
        let bend = |&(from, to): &(usize, usize)| {
            (layer[from] + 1..layer[to]).map(|at| self.at[self.chain[&(from, at)]] - least).collect()
        };
        let bends = net.lines.iter().map(bend).collect();
        let at = (0..net.sizes.len()).map(|node| self.at[node] - least).collect();
        Layout { at, layers: self.rows.len(), extent: most - least, bends, layer }
    }
}

/// Sum of the first `end` numbers of a Fenwick tree.
fn prefix(tree: &[usize], mut end: usize) -> usize {
    let mut sum = 0;
    while end > 0 {
        sum += tree[end];
        end &= end - 1;
    }
    sum
}

fn add(tree: &mut [usize], at: usize) {
    let mut at = at + 1;
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(count: usize, lines: &[(usize, usize)]) -> Net {
        Net { sizes: vec![28; count], lines: lines.to_vec(), tail: count, gap: 12 }
    }

    /// Numbers from a seed, for graphs.
    fn random(count: usize, seed: u64) -> Net {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 40).unwrap_or(0)
        };
        let mut lines = Vec::new();
        for to in 1..count {
            for _ in 0..next() % 3 {
                lines.push((to - 1 - next() % to.min(40), to));
            }
        }
        lines.sort_unstable();
        lines.dedup();
        net(count, &lines)
    }

    /// Boxes of a layer keep their distance, and lines keep out of boxes.
    fn sound(net: &Net, layout: &Layout) {
        for &(from, to) in &net.lines {
            assert!(layout.layer[from] < layout.layer[to]);
        }
        let mut taken: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
        for node in 0..net.sizes.len() {
            let half = net.sizes[node] / 2;
            taken.entry(layout.layer[node]).or_default().push((layout.at[node] - half, layout.at[node] + half));
            assert!(layout.at[node] >= half && layout.at[node] + half <= layout.extent);
        }
        for spans in taken.values_mut() {
            spans.sort_unstable();
            assert!(spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "boxes overlap: {spans:?}");
        }
        for (line, bends) in net.lines.iter().zip(&layout.bends) {
            for (at, bend) in (layout.layer[line.0] + 1..layout.layer[line.1]).zip(bends) {
                let hit = taken[&at].iter().any(|span| span.0 <= *bend && *bend <= span.1);
                assert!(!hit, "line {line:?} goes through a box of layer {at}");
            }
        }
    }

    #[test]
    fn a_chain_is_straight() {
        let straight = layout(&net(4, &[(0, 1), (1, 2), (2, 3)]));
        assert_eq!(straight.layer, [0, 1, 2, 3]);
        assert!(straight.at.iter().all(|at| *at == straight.at[0]), "{straight:?}");
        let net = net(4, &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let layout = layout(&net);
        assert_eq!(layout.bends[3].len(), 2);
        sound(&net, &layout);
    }

    #[test]
    fn a_diamond_stands_in_the_middle_and_nothing_crosses() {
        let net = net(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let layout = layout(&net);
        let middle = layout.at[1].midpoint(layout.at[2]);
        assert!((layout.at[0] - middle).abs() <= 1 && (layout.at[3] - middle).abs() <= 1, "{layout:?}");
        sound(&net, &layout);
    }

    #[test]
    fn what_crosses_without_need_is_untangled() {
        // Declared crosswise.
        let lines = [(0, 7), (1, 6), (2, 5), (3, 4)];
        let net = net(8, &lines);
        let layer = layers(&net);
        let mut work = Work::new(&net, &layer);
        work.order();
        assert_eq!(work.crossings(), 0);
    }

    #[test]
    fn crossings_are_counted() {
        // K(3,3) in any order: nine.
        let lines: Vec<_> = (0..3).flat_map(|a| (3..6).map(move |b| (a, b))).collect();
        let net = net(6, &lines);
        assert_eq!(Work::new(&net, &layers(&net)).crossings(), 9);
    }

    #[test]
    fn a_source_stands_beside_what_needs_it_and_the_tail_last() {
        let mut net = net(6, &[(0, 1), (1, 2), (3, 2), (4, 5)]);
        net.tail = 4;
        let layout = layout(&net);
        assert_eq!(layout.layer, [0, 1, 2, 1, 3, 4]);
        sound(&net, &layout);
    }

    #[test]
    fn random_graphs_are_sound_and_the_same_twice() {
        for seed in 0..60 {
            let net = random(1 + seed as usize * 7 % 120, seed);
            let first = layout(&net);
            sound(&net, &first);
            assert_eq!(first, layout(&net));
        }
    }

    #[test]
    fn thousands_of_lines_share_their_dummies() {
        let mut net = random(2000, 5);
        net.lines.extend((0..1990).map(|to| (to, 1999)));
        net.lines.sort_unstable();
        net.lines.dedup();
        let layout = layout(&net);
        sound(&net, &layout);
    }

    #[test]
    fn nothing_is_a_drawing_too() {
        assert_eq!(layout(&Net::default()), Layout::default());
    }
}
