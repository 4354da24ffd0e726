//! User and password as the environment has them, for whatever is connected to.

use super::Form;
use crate::profile::{Profile, Secret};

/// User and password for whatever is connected to. What is typed into the form wins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login {
    /// The ACL user; none: whichever the profile names.
    pub username: Option<String>,
    /// The password.
    pub secret: Secret,
}

impl Login {
    /// The form for a profile. Where that names a user, the password of another one isn't given.
    pub fn form(&self, profile: Profile) -> Form {
        let secret = self.secret.clone();
        match (profile.username.trim(), &self.username) {
            ("", Some(username)) => Form { profile: Profile { username: username.clone(), ..profile }, secret },
            (own, Some(username)) if own != username => Form { profile, secret: Secret::None },
            _ => Form { profile, secret },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_given_for_its_own_user_alone() {
        let secret = || Secret::Text("secret".to_owned());
        let form = |username: Option<&str>, of: &str| {
            let login = Login { username: username.map(str::to_owned), secret: secret() };
            let form = login.form(Profile { username: of.to_owned(), ..Profile::default() });
            (form.profile.username, form.secret)
        };
        assert_eq!(form(Some("viewer"), ""), ("viewer".to_owned(), secret()));
        assert_eq!(form(Some("viewer"), "viewer"), ("viewer".to_owned(), secret()));
        assert_eq!(form(Some("viewer"), "other"), ("other".to_owned(), Secret::None));
        assert_eq!(form(None, "other"), ("other".to_owned(), secret()));
        assert_eq!(form(None, ""), (String::new(), secret()));
    }
}
