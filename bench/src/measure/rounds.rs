use anyhow::Result;

/// Measures each contender once a round, in a turned order, and gives each one's samples, in the order of the
/// contenders. What changes on the machine meanwhile meets all of them.
pub(crate) async fn rounds<C, T>(
    count: u32,
    contenders: &[C],
    mut measure: impl AsyncFnMut(&C) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut samples: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..count as usize {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            samples[index].push(measure(&contenders[index]).await?);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_round_has_everybody_and_begins_with_another() {
        let mut order = Vec::new();
        let samples = rounds(2, &['a', 'b', 'c'], async |contender| {
            order.push(*contender);
            Ok(order.len())
        })
        .await
        .unwrap();
        assert_eq!(order, ['a', 'b', 'c', 'b', 'c', 'a']);
        assert_eq!(samples, [[1, 6], [2, 4], [3, 5]]);
    }
}
